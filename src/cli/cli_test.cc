#include "cli/cli.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "cli/common/findings.h"
#include "cli/common/project.h"
#include "cli/common/terminal.h"
#include "cli/help.h"
#include "cli/verb_table.h"
#include "cli/verbs/verbs.h"
#include "io/net.h"

namespace havn::cli {
namespace {

namespace fs = std::filesystem;

// `havn WORDS…` in a folder of its own; what it printed is kept.
class CommandLineTest : public testing::Test {
  protected:
    CommandLineTest() : before_(fs::current_path()) {
        std::string pattern = testing::TempDir() + "cli.XXXXXX";
        folder_ = fs::canonical(::mkdtemp(pattern.data()));
        fs::permissions(folder_, fs::perms(0755));  // what root's folder has runs as another user
        fs::current_path(folder_);
    }
    ~CommandLineTest() override {
        fs::current_path(before_);
        fs::remove_all(folder_);
    }

    int havn(std::vector<std::string> words) {
        words.insert(words.begin(), "havn");
        std::vector<char*> arguments;
        for (std::string& word : words) arguments.push_back(word.data());
        testing::internal::CaptureStdout();
        testing::internal::CaptureStderr();
        const int code = run(static_cast<int>(arguments.size()), arguments.data());
        out_ = testing::internal::GetCapturedStdout();
        err_ = testing::internal::GetCapturedStderr();
        return code;
    }

    static void write(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }

    // What others on this host listen on must not decide a test: `plan` looks whether its ports are free.
    static void give_free_ports() {
        std::stringstream text;
        text << std::ifstream("havn.toml").rdbuf();
        std::string manifest = text.str();
        std::uint16_t from = 21000;
        for (const auto& [usual, table] : {std::pair(":8080\"", "gateway"), std::pair(":5672\"", "broker")}) {
            from = io::find_free_port(static_cast<std::uint16_t>(from + 1)).value();
            const std::string port = ":" + std::to_string(from) + "\"";
            if (const std::size_t at = manifest.find(usual); at != std::string::npos) {
                manifest.replace(at, std::string_view(usual).size(), port);
            } else {
                manifest += std::string("\n[") + table + "]\nlisten = [\"127.0.0.1" + port + "]\n";
            }
        }
        write("havn.toml", manifest);
    }

    fs::path before_, folder_;
    std::string out_, err_;
};

const char* const small = "[service.web]\ncommand = 'true'\n[route.'/']\nservice = 'web'\n";

TEST_F(CommandLineTest, an_unknown_verb_is_answered_with_the_nearest) {
    EXPECT_EQ(havn({"lgos"}), Exit::usage);
    EXPECT_NE(err_.find("havn logs"), std::string::npos) << err_;
    EXPECT_EQ(havn({"xylophone"}), Exit::usage);
    EXPECT_EQ(err_.find("did you mean"), std::string::npos) << err_;
}

TEST_F(CommandLineTest, words_of_other_tools_are_answered_with_what_does_it_here) {
    const std::pair<const char*, const char*> words[] = {{"stop", "havn down"},
                                                         {"check", "havn plan"},
                                                         {"start", "havn up"},
                                                         {"top", "havn ps"},
                                                         {"deploy", "havn up -d"}};
    for (const auto& [word, answer] : words) {
        EXPECT_EQ(havn({word}), Exit::usage) << word;
        EXPECT_NE(err_.find(answer), std::string::npos) << err_;
    }
    for (const char* word : {"run", "exec"}) {  // what starts everything is not what was meant
        EXPECT_EQ(havn({word}), Exit::usage);
        EXPECT_EQ(err_.find("did you mean `havn up`"), std::string::npos) << err_;
    }
}

TEST_F(CommandLineTest, a_manifest_that_is_none_is_named_with_a_remedy) {
    write("big.toml", std::string(2u << 20, '#'));
    EXPECT_EQ(havn({"plan", "-f", "big.toml"}), Exit::failed);
    EXPECT_NE(err_.find("2.0 MiB"), std::string::npos) << err_;
    fs::create_directory("folder");
    EXPECT_EQ(havn({"plan", "-f", "folder"}), Exit::failed);
    EXPECT_NE(err_.find("is a folder"), std::string::npos) << err_;
}

TEST_F(CommandLineTest, an_unknown_option_points_to_the_help_of_the_verb) {
    EXPECT_EQ(havn({"up", "--detatch"}), Exit::usage);
    EXPECT_NE(err_.find("havn help up"), std::string::npos) << err_;
}

TEST_F(CommandLineTest, every_verb_has_help_and_it_ends_well) {
    for (const VerbEntry& verb : verb_table()) {
        EXPECT_EQ(havn({verb.name.data(), "--help"}), Exit::ok) << verb.name;
        EXPECT_EQ(havn({"help", verb.name.data()}), Exit::ok) << verb.name;
        EXPECT_FALSE(out_.empty()) << verb.name;
    }
}

TEST_F(CommandLineTest, help_tells_the_exit_codes_and_no_arguments_is_a_usage_error) {
    EXPECT_EQ(havn({"help"}), Exit::ok);
    EXPECT_NE(out_.find("Exit codes"), std::string::npos);
    EXPECT_EQ(havn({}), Exit::usage);
}

TEST_F(CommandLineTest, without_a_manifest_the_error_names_the_remedy) {
    EXPECT_EQ(havn({"up", "-d"}), Exit::failed);
    EXPECT_NE(err_.find("havn init"), std::string::npos) << err_;
}

TEST_F(CommandLineTest, a_broken_manifest_is_reported_by_line_and_nothing_is_started) {
    write("havn.toml", "[service.web]\ncomand = 'x'\n");
    EXPECT_EQ(havn({"up", "-d"}), Exit::failed);
    EXPECT_NE(err_.find("havn.toml:2:1"), std::string::npos) << err_;
    EXPECT_NE(err_.find("command"), std::string::npos) << err_;
    EXPECT_FALSE(fs::exists(".havn"));
}

TEST_F(CommandLineTest, plan_works_without_a_platform_and_its_exit_code_says_whether_something_changes) {
    write("havn.toml", small);
    give_free_ports();
    EXPECT_EQ(havn({"plan"}), Exit::changes) << err_;
    EXPECT_NE(out_.find("service.web"), std::string::npos) << out_;
    EXPECT_EQ(havn({"plan", "--json"}), Exit::changes);
    EXPECT_TRUE(Json::accept(out_)) << out_;
    write("havn.toml", "[nonsense]\n");
    EXPECT_EQ(havn({"plan"}), Exit::failed);
}

TEST_F(CommandLineTest, what_needs_a_running_platform_says_that_it_does_not_run) {
    write("havn.toml", small);
    for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{{"ps"},
                                                                                       {"ps", "--json"},
                                                                                       {"status"},
                                                                                       {"routes"},
                                                                                       {"queue"},
                                                                                       {"restart", "web"},
                                                                                       {"scale", "web=2"}}) {
        EXPECT_EQ(havn(words), Exit::failed) << words[0];
        EXPECT_NE(err_.find("not running"), std::string::npos) << words[0] << err_;
    }
    EXPECT_EQ(havn({"down"}), Exit::ok);
    EXPECT_EQ(out_, "not running\n");
}

TEST_F(CommandLineTest, scale_takes_a_name_and_a_count) {
    write("havn.toml", small);
    for (const char* wrong : {"web", "web=", "=2", "web=two", "web=2x"}) {
        EXPECT_EQ(havn({"scale", wrong}), Exit::usage) << wrong;
    }
}

TEST_F(CommandLineTest, init_writes_a_manifest_that_holds_and_never_overwrites_one) {
    EXPECT_EQ(havn({"init"}), Exit::ok);
    give_free_ports();
    EXPECT_EQ(havn({"plan"}), Exit::changes) << err_;
    EXPECT_EQ(havn({"init"}), Exit::failed);
    EXPECT_NE(err_.find("is there already"), std::string::npos) << err_;
}

TEST_F(CommandLineTest, init_finds_what_stands_in_the_folder) {
    write("app.py", "");
    EXPECT_EQ(havn({"init"}), Exit::ok);
    std::stringstream text;
    text << std::ifstream("havn.toml").rdbuf();
    EXPECT_NE(text.str().find("python3 app.py"), std::string::npos) << text.str();
}

TEST_F(CommandLineTest, init_leaves_the_commands_to_a_procfile) {
    write("Procfile", "web: python3 app.py\n");
    EXPECT_EQ(havn({"init"}), Exit::ok);
    give_free_ports();
    EXPECT_EQ(havn({"plan"}), Exit::changes) << err_;
    EXPECT_NE(out_.find("service.web"), std::string::npos) << out_;
}

TEST_F(CommandLineTest, completion_is_there_for_three_shells) {
    for (const char* shell : {"bash", "zsh", "fish"}) {
        EXPECT_EQ(havn({"completion", shell}), Exit::ok);
        EXPECT_NE(out_.find("restart"), std::string::npos);
    }
    EXPECT_EQ(havn({"completion", "tcsh"}), Exit::usage);
}

TEST_F(CommandLineTest, the_manifest_is_found_in_a_folder_above) {
    write("havn.toml", small);
    fs::create_directories("a/b");
    fs::current_path("a/b");
    const Result<Project> project = open_project({});
    ASSERT_TRUE(project) << project.error().text();
    EXPECT_EQ(project->directory, folder_.string());
    EXPECT_EQ(project->data, (folder_ / ".havn").string());
}

TEST_F(CommandLineTest, a_named_manifest_brings_its_folder_and_the_data_folder_can_be_elsewhere) {
    fs::create_directories("shop");
    write("shop/other.toml", small);
    const Result<Project> project = open_project({"shop/other.toml", "elsewhere/"});
    ASSERT_TRUE(project) << project.error().text();
    EXPECT_EQ(project->directory, (folder_ / "shop").string());
    EXPECT_EQ(project->data, (folder_ / "elsewhere").string());
    EXPECT_FALSE(open_project({"missing.toml", ""}));
}

TEST_F(CommandLineTest, a_procfile_alone_is_a_manifest) {
    write("Procfile", "web: python3 app.py\n");
    const Result<Project> project = open_project({});
    ASSERT_TRUE(project) << project.error().text();
    EXPECT_FALSE(project->toml);
    EXPECT_TRUE(project->procfile);
}

TEST(Terminal, a_table_lines_its_columns_up) {
    EXPECT_EQ(table({{"NAME", "PID"}, {"väb", "1"}, {"cart", "22"}}), "NAME  PID\nväb   1\ncart  22\n");
}

TEST(Terminal, the_nearest_word_is_found_only_when_it_is_near) {
    EXPECT_EQ(nearest("pss", {"ps", "plan"}), "ps");
    EXPECT_EQ(nearest("resart", {"restart", "scale"}), "restart");
    EXPECT_EQ(nearest("frobnicate", {"ps", "plan"}), "");
}

TEST(Terminal, an_instance_is_named_by_number_after_the_last_dot) {
    EXPECT_EQ(parse_instance("web").instance, 0u);
    EXPECT_EQ(parse_instance("web.2").name, "web");
    EXPECT_EQ(parse_instance("web.2").instance, 2u);
    EXPECT_EQ(parse_instance("web.two").name, "web.two");
    EXPECT_EQ(parse_instance("web.").name, "web.");
}

HostFacts good_host() {
    HostFacts facts;
    facts.kernel = "6.1.0-13-amd64";
    facts.cgroup_version = 2;
    facts.files_soft = facts.files_hard = 65'536;
    facts.somaxconn = 4'096;
    facts.data = "/srv/shop/.havn";
    facts.fsync_ms = 0.1;
    facts.disk_free = 10ull << 30;
    facts.memory = 2ull << 30;
    facts.ports = {{"0.0.0.0:8080", ""}};
    return facts;
}

Finding find(const HostFacts& facts, std::string_view id) {
    for (Finding& finding : examine(facts)) {
        if (finding.id == id) return finding;
    }
    return {};
}

TEST(Doctor, finds_nothing_wrong_with_a_good_host) {
    for (const Finding& finding : examine(good_host())) {
        EXPECT_EQ(finding.severity, Finding::Severity::ok) << finding.id;
        EXPECT_TRUE(finding.fix.empty()) << finding.id;
    }
}

TEST(Doctor, an_old_kernel_a_taken_port_and_an_unwritable_folder_block) {
    HostFacts facts = good_host();
    facts.kernel = "5.3.18";
    facts.ports = {{"0.0.0.0:8080", "cannot listen: another process has it"}};
    facts.data_problem = "Permission denied";
    for (const char* id : {"kernel.version", "port.0.0.0.0:8080", "data.writable"}) {
        const Finding finding = find(facts, id);
        EXPECT_EQ(finding.severity, Finding::Severity::blocker) << id;
        EXPECT_FALSE(finding.fix.empty()) << id;
    }
    EXPECT_EQ(find(good_host(), "kernel.version").severity, Finding::Severity::ok);
    facts.kernel = "5.10.0";
    EXPECT_EQ(find(facts, "kernel.version").severity, Finding::Severity::ok);
}

TEST(Doctor, a_slow_disk_and_a_short_backlog_are_warnings) {
    HostFacts facts = good_host();
    facts.fsync_ms = 30;
    facts.somaxconn = 128;
    EXPECT_EQ(find(facts, "data.fsync").severity, Finding::Severity::warning);
    EXPECT_EQ(find(facts, "net.somaxconn").severity, Finding::Severity::warning);
}

}  // namespace
}  // namespace havn::cli
