#include "manifest/syntax/redact.h"

#include <gtest/gtest.h>

#include "manifest/manifest.h"
#include "manifest/plan.h"

namespace havn::manifest {
namespace {

TEST(Redact, takes_the_password_out_of_every_url) {
    EXPECT_EQ(redact_urls("amqp://shop:s3cret@mq:5672/%2F"), "amqp://shop:***@mq:5672/%2F");
    EXPECT_EQ(redact_urls("a --db=postgres://u:p@h/x --mq 'amqps://v:q@h' z"),
              "a --db=postgres://u:***@h/x --mq 'amqps://v:***@h' z");
    EXPECT_EQ(redact_urls("redis://:only@h"), "redis://:***@h");
    EXPECT_EQ(redact_urls("http://u:p@ss@h/"), "http://u:***@h/");
}

TEST(Redact, leaves_everything_else) {
    for (const char* text : {"", "://", "http://host:8080/a:b@c", "http://host/", "mail a@b",
                             "amqp://user@host", "://@", "http://h:80"}) {
        EXPECT_EQ(redact_urls(text), text);
    }
}

TEST(Redact, a_line_of_a_manifest_shows_no_value_of_env) {
    EXPECT_EQ(redact_line("env = { DB_PASSWORD = \"hunter2\" }"), "env = ***");
    EXPECT_EQ(redact_line("  env.DB = \"hunter2\""), "  env.DB = ***");
    EXPECT_EQ(redact_line("command = \"x --env=a\""), "command = \"x --env=a\"");
}

std::string manifest_with(const std::string& password, const std::string& url) {
    return "[broker]\nurl = \"amqp://shop:" + url +
           "@10.0.0.9:5672/\"\n[worker.w]\ncommand = \"run http://a:" + url +
           "@h\"\nenv = { DB_PASSWORD = \"" + password + "\", MODE = \"fast\" }\n";
}

Manifest manifest_of(const std::string& text) {
    Parsed parsed = parse_toml(text, "havn.toml");
    EXPECT_TRUE(parsed.manifest) << render(parsed.diagnostics, {});
    return parsed.manifest.value_or(Manifest{});
}

TEST(Redact, a_plan_has_no_secrets_neither_as_text_nor_as_json) {
    const Manifest before = manifest_of(manifest_with("hunter2", "s3cret")),
                   after = manifest_of(manifest_with("hunter3", "s4cret"));
    for (const Plan& plan : {diff(std::nullopt, before), diff(before, after),
                             diff(after, manifest_of("[worker.w]\ncommand = \"x\"\n"))}) {
        const std::string text = render(plan) + to_json(plan).dump();
        for (const char* secret : {"hunter2", "hunter3", "s3cret", "s4cret"}) {
            EXPECT_EQ(text.find(secret), std::string::npos) << text;
        }
        EXPECT_NE(text.find("DB_PASSWORD"), std::string::npos) << text;
    }
    const std::string changed = render(diff(before, after));
    EXPECT_NE(changed.find("env.DB_PASSWORD: (set) → (set anew)"), std::string::npos) << changed;
    EXPECT_EQ(changed.find("MODE"), std::string::npos) << "unchanged";
}

TEST(Redact, a_message_about_the_manifest_shows_no_secret_of_its_line) {
    const std::string text =
        "[worker.w]\ncommand = \"x\"\nenv = { A = \"hunter2\", 3x = \"y\" }\nurll = \"amqp://u:s3cret@h\"\n";
    const Parsed parsed = parse_toml(text, "havn.toml");
    const std::string shown = render(parsed.diagnostics, {{"havn.toml", text}});
    EXPECT_EQ(shown.find("hunter2"), std::string::npos) << shown;
    EXPECT_EQ(shown.find("s3cret"), std::string::npos) << shown;
}

}  // namespace
}  // namespace havn::manifest
