#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "manifest/keys.h"
#include "manifest/manifest.h"

namespace havn::manifest {
namespace {

// The section a row of the table is written in, with what a manifest around it needs.
std::string manifest_with(const Key& key) {
    const auto line = std::string(key.name) + " = " + std::string(key.example) + "\n";
    std::string text = "[service.inventory]\ncommand = 'x'\n[queue.invoices]\n";
    const std::string_view in = key.section;
    const bool is_command = key.name == "command";
    if (in.empty()) return line + text;
    if (in == "program" || in == "service.*") {
        return text + "[service.x]\n" + (is_command ? "" : "command = 'x'\n") + line;
    }
    if (in == "service.*.healthcheck") {
        return text + "[service.x]\ncommand = 'x'\n[service.x.healthcheck]\n" + line;
    }
    if (in == "worker.*") return text + "[worker.x]\ncommand = 'x'\n" + line;
    if (in == "worker.*.scale") return text + "[worker.x]\ncommand = 'x'\n[worker.x.scale]\n" + line;
    if (in == "queue.*") return text + "[queue.x]\n" + line;
    if (!in.starts_with("route")) return text + "[" + std::string(in) + "]\n" + line;
    text += "[service.storefront]\ncommand = 'x'\n[route.\"/\"]\n";
    const bool names_target = key.name == "service" || key.name == "queue";
    if (!names_target) {
        text += key.applies_to == "a route to a queue" ? "queue = 'invoices'\n" : "service = 'inventory'\n";
    }
    return text + (in == "route.*.fallback" ? "[route.\"/\".fallback]\n" : "") + line;
}

TEST(Reference, shows_examples_that_are_accepted) {
    for (const auto& key : keys()) {
        const auto parsed = parse_toml(manifest_with(key), "havn.toml");
        EXPECT_TRUE(parsed.manifest) << render(parsed.diagnostics, {{"havn.toml", manifest_with(key)}});
    }
}

TEST(Reference, knows_every_key_in_help_documentation_and_schema) {
    const auto help = reference_text(), page = reference_markdown(), schema = json_schema().dump();
    for (const auto& key : keys()) {
        EXPECT_NE(help.find(key.doc), help.npos) << key.name;
        EXPECT_NE(page.find("| `" + std::string(key.name) + "` |"), page.npos) << key.name;
        EXPECT_NE(schema.find("\"" + std::string(key.name) + "\":{"), schema.npos) << key.name;
        EXPECT_TRUE(key.doc.ends_with('.')) << key.name;
    }
}

TEST(Reference, helps_with_one_topic_and_what_it_holds) {
    const auto route = reference_text("route");
    EXPECT_NE(route.find("[route.\"HOST/PATH\"]\n"), route.npos);
    EXPECT_NE(route.find("[route.\"HOST/PATH\"] fallback\n"), route.npos);
    EXPECT_EQ(route.find("[broker]"), route.npos);
    EXPECT_EQ(reference_text("colour"), "");
}

TEST(Reference, gives_editors_types_bounds_and_defaults) {
    const auto schema = json_schema();
    const auto& service = schema["properties"]["service"]["additionalProperties"];
    EXPECT_EQ(service["additionalProperties"], false);
    EXPECT_EQ(service["properties"]["instances"]["type"], "integer");
    EXPECT_EQ(service["properties"]["instances"]["maximum"], 1'000);
    EXPECT_EQ(service["properties"]["instances"]["default"], 1);
    EXPECT_EQ(service["properties"]["stop_timeout"]["default"], "10s");
    EXPECT_EQ(service["properties"]["healthcheck"]["properties"]["path"]["default"], "/");
}

// UPDATE_GOLDEN=1 writes the page anew.
TEST(Reference, page_in_docs_is_current) {
    const auto page = std::filesystem::path(__FILE__).parent_path() / "../../docs/manifest.md";
    if (std::getenv("UPDATE_GOLDEN") != nullptr) std::ofstream(page) << reference_markdown();
    std::ifstream file(page);
    std::stringstream text;
    text << file.rdbuf();
    EXPECT_EQ(text.str(), reference_markdown())
        << "run the test with UPDATE_GOLDEN=1 and commit docs/manifest.md";
}

}  // namespace
}  // namespace havn::manifest
