// Mistakes people make who come from elsewhere, and the hint each gets.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include "manifest/manifest.h"

namespace havn::manifest {
namespace {

std::string said(const std::string& text) {
    const Parsed parsed = parse_toml(text, "havn.toml");
    return render(parsed.diagnostics, {});
}

void expect_hint(const std::string& text, const std::string& hint) {
    EXPECT_NE(said(text).find(hint), std::string::npos) << text << "\n" << said(text);
}

TEST(Mistakes, a_text_without_quotes) {
    expect_hint("[service.web]\ncommand = python3 web.py\n",
                "a text stands in quotes: command = \"python3 web.py\"");
    expect_hint("[service.web]\ncommand = web\n", "command = \"web\"");
    expect_hint("[service.web]\ncommand = ./web --say \"x\"\n", "a text stands in quotes");
    expect_hint("[service.web]\ncommand =\n", "write a value after command =");
    expect_hint("[service.web]\nenabled = True\n", "write true or false");
}

TEST(Mistakes, a_file_in_another_language) {
    expect_hint("service:\n  web:\n    command: python3 web.py\n", "this looks like YAML");
    expect_hint("---\nservices:\n", "this looks like YAML");
    expect_hint("[program:web]\ncommand=python3 web.py\n", "this looks like an INI file");
    expect_hint("; a comment\n[web]\n", "in TOML a comment begins with #");
    expect_hint("// a comment\n", "in TOML a comment begins with #");
    expect_hint("{\n  \"service\": {}\n}\n", "this looks like JSON");
}

TEST(Mistakes, a_key_that_belongs_elsewhere) {
    expect_hint("[service.w]\ncommand = \"x\"\nqueue = \"q\"\n[queue.q]\n",
                "what takes messages is a worker");
    EXPECT_EQ(said("[service.w]\ncommand = \"x\"\nqueue = \"q\"\n").find("top of the file"),
              std::string::npos);
    expect_hint("[gateway]\ntls = true\n", "put a proxy that has it");
}

TEST(Mistakes, an_empty_command_is_not_answered_with_a_slash) {
    EXPECT_EQ(said("[service.w]\ncommand = \"\"\n").find("\"/\""), std::string::npos);
}

TEST(Mistakes, two_addresses_of_which_one_could_not_listen) {
    for (const char* listen : {"\"0.0.0.0:8080\", \"127.0.0.1:8080\"", "\"127.0.0.1:8080\", \"0.0.0.0:8080\"",
                               "\"[::1]:8080\", \"[::]:8080\""}) {
        expect_hint(fmt::format("[gateway]\nlisten = [{}]\n", listen), "leave one of them out");
    }
    for (const char* listen : {"\"0.0.0.0:8080\", \"[::]:8080\"", "\"127.0.0.1:8080\", \"127.0.0.2:8080\"",
                               "\"0.0.0.0:8080\", \"0.0.0.0:8081\""}) {
        EXPECT_EQ(said(fmt::format("[gateway]\nlisten = [{}]\n[worker.w]\ncommand = \"x\"\n", listen)), "");
    }
    EXPECT_EQ(said("[gateway]\nlisten = [\"[::]:5672\"]\n[worker.w]\ncommand = \"x\"\n"), "")
        << "another family than the broker's";
    expect_hint("[gateway]\nlisten = [\"0.0.0.0:5672\"]\n[worker.w]\ncommand = \"x\"\n",
                "give one of them another port");
}

TEST(Mistakes, more_services_than_the_gateway_can_have_sockets_are_named_by_number) {
    std::string text;
    for (int i = 1; i <= 249; ++i) text += fmt::format("[service.s{}]\ncommand = \"x\"\n", i);
    EXPECT_EQ(said(text), "");
    text += "[service.more]\ncommand = \"x\"\n";
    EXPECT_NE(said(text).find("make 251 listening sockets; at most 250 are possible"), std::string::npos);
}

}  // namespace
}  // namespace havn::manifest
