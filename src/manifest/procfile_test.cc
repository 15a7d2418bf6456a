#include "manifest/procfile.h"

#include <gtest/gtest.h>

#include <fmt/format.h>

namespace havn::manifest {
namespace {

std::string said(const Parsed& parsed) {
    std::string text;
    for (const auto& one : parsed.diagnostics) {
        text += fmt::format("{}:{}:{} {} | {}\n", one.file, one.line, one.column, one.message, one.hint);
    }
    return text;
}

Parsed both(const char* toml, const char* procfile) {
    return parse(Source{"havn.toml", toml}, Source{"Procfile", procfile});
}

TEST(Procfile, makes_web_a_service_at_the_root_and_all_else_workers) {
    const auto parsed = parse_procfile(
        "# the shop\n"
        "web: gunicorn app:app --bind 0.0.0.0:$PORT # not a comment\r\n"
        "\n"
        "// another comment\n"
        "  Mail-Worker :  celery -A proj worker  \n",
        "Procfile");
    ASSERT_TRUE(parsed.manifest) << said(parsed);
    EXPECT_TRUE(parsed.diagnostics.empty());
    const auto& manifest = *parsed.manifest;
    ASSERT_EQ(manifest.services.size(), 1u);
    EXPECT_EQ(manifest.services[0].name, "web");
    EXPECT_EQ(manifest.services[0].command, "gunicorn app:app --bind 0.0.0.0:$PORT # not a comment");
    ASSERT_EQ(manifest.workers.size(), 1u);
    EXPECT_EQ(manifest.workers[0].name, "mail-worker");
    EXPECT_EQ(manifest.workers[0].command, "celery -A proj worker");
    ASSERT_EQ(manifest.routes.size(), 1u);
    EXPECT_EQ(manifest.routes[0].key, "/");
    EXPECT_EQ(manifest.routes[0].path, "/");
    EXPECT_EQ(manifest.routes[0].service, "web");
    EXPECT_EQ(manifest_from_json(to_json(manifest)).value(), manifest);
}

TEST(Procfile, keeps_a_command_whole_where_supervisord_would_cut_it) {
    const auto parsed = parse_procfile("job: bash -c 'foo ; bar' && echo 100%: done\n", "Procfile");
    ASSERT_TRUE(parsed.manifest);
    EXPECT_EQ(parsed.manifest->workers[0].command, "bash -c 'foo ; bar' && echo 100%: done");
}

TEST(Procfile, warns_that_release_is_not_run) {
    const auto parsed = parse_procfile("release: ./manage.py migrate\nweb: x\n", "Procfile");
    ASSERT_TRUE(parsed.manifest);
    EXPECT_TRUE(parsed.manifest->workers.empty());
    EXPECT_EQ(said(parsed),
              "Procfile:1:1 `release` is not run: this version has no deploy step | "
              "run it before `havn up`: ./manage.py migrate\n");
}

TEST(Procfile, says_of_every_bad_line_what_is_wrong_with_it) {
    const auto parsed = parse_procfile(
        "web: x\n"
        "  no colon here\n"
        "Web: y\n"
        "broker: x\n"
        "_x: y\n"
        "y:\n"
        "\xff: x\n"
        ": z",
        "Procfile");
    EXPECT_FALSE(parsed.manifest);
    constexpr auto form = "lower-case letters, digits, - and _, beginning with a letter or digit, at most 63";
    EXPECT_EQ(
        said(parsed),
        fmt::format(
            "Procfile:2:3 a line of a Procfile is `name: command`, but here is no colon | write web: no "
            "colon here\n"
            "Procfile:3:1 `web` is there already | see line 1\n"
            "Procfile:4:1 \"broker\" is no name for a process: supervisor, keeper, gateway, broker and "
            "control are parts of the platform | rename it\n"
            "Procfile:5:1 \"_x\" is no name for a process: {} | \n"
            "Procfile:6:1 `y` has no command | write y: COMMAND\n"
            "Procfile:7:1 this line is not UTF-8 text | save the file as UTF-8\n"
            "Procfile:8:1 \"\" is no name for a process: {} | \n",
            form, form));
}

TEST(Procfile, refuses_a_command_with_a_line_break_inside) {
    const auto parsed = parse_procfile("web: serve\rclock: tick\n", "Procfile");
    EXPECT_FALSE(parsed.manifest);
    EXPECT_EQ(
        said(parsed),
        "Procfile:1:1 the command of `web` has a line break inside | end lines with \\n or \\r\\n, not with "
        "\\r\n");
}

TEST(Procfile, gives_way_to_what_the_manifest_names) {
    const auto parsed = both(
        "[service.web]\ninstances = 2\n[service.clock]\ncommand = 'clock'\n[worker.mail]\nqueue = "
        "'m'\n[queue.m]\n",
        "web: from the procfile\nclock: not this\nmail: celery\nextra: more\n");
    ASSERT_TRUE(parsed.manifest) << said(parsed);
    const auto& manifest = *parsed.manifest;
    ASSERT_EQ(manifest.services.size(), 2u);
    EXPECT_EQ(manifest.services[0].command, "clock") << "a command of its own wins";
    EXPECT_EQ(manifest.services[1].command, "from the procfile") << "one it leaves out is taken";
    EXPECT_EQ(manifest.services[1].instances, 2u);
    ASSERT_EQ(manifest.workers.size(), 2u);
    EXPECT_EQ(manifest.workers[0].name, "extra");
    EXPECT_EQ(manifest.workers[1].command, "celery");
    EXPECT_EQ(manifest.workers[1].queue, "m");
    EXPECT_EQ(manifest.routes.size(), 1u) << "web still answers /";
}

TEST(Procfile, adds_no_route_where_the_manifest_says_where_requests_go) {
    const auto elsewhere = both("[route.\"/\"]\nservice = 'a'\n[service.a]\ncommand = 'a'\n", "web: w\n");
    ASSERT_TRUE(elsewhere.manifest) << said(elsewhere);
    ASSERT_EQ(elsewhere.manifest->routes.size(), 1u);
    EXPECT_EQ(elsewhere.manifest->routes[0].service, "a");

    const auto routed = both("[route.\"/app\"]\nservice = 'web'\n", "web: w\n");
    ASSERT_TRUE(routed.manifest) << said(routed);
    ASSERT_EQ(routed.manifest->routes.size(), 1u);
    EXPECT_EQ(routed.manifest->routes[0].key, "/app");

    const auto worker = both("[worker.web]\ninstances = 2\n", "web: w\n");
    ASSERT_TRUE(worker.manifest) << said(worker);
    EXPECT_TRUE(worker.manifest->routes.empty());
    EXPECT_EQ(worker.manifest->workers.at(0).command, "w");
}

TEST(Procfile, is_still_judged_when_the_manifest_is_wrong) {
    const auto parsed = both("[service.web]\ncomand = 'x'\n", "web: w\nnothing\n");
    EXPECT_FALSE(parsed.manifest);
    EXPECT_EQ(
        said(parsed),
        "Procfile:2:1 a line of a Procfile is `name: command`, but here is no colon | write web: nothing\n"
        "havn.toml:2:1 [service.web] has no key `comand` | did you mean `command`?\n");
}

}  // namespace
}  // namespace havn::manifest
