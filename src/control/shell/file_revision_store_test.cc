#include "control/shell/file_revision_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "control/shell/component_files.h"
#include "control/shell/file_scale_store.h"
#include "io/file.h"
#include "manifest/manifest.h"

namespace havn::control {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;

manifest::Manifest manifest_of(const std::string& command) {
    manifest::Parsed parsed =
        manifest::parse_toml("[service.web]\ncommand = '" + command + "'\n", "havn.toml");
    return std::move(*parsed.manifest);
}

Revision revision(std::uint64_t number, const std::string& app = {}) {
    return {.number = number,
            .source = {.app = app,
                       .manifest = manifest_of("serve " + std::to_string(number)),
                       .file = "havn.toml",
                       .directory = "/srv/shop"},
            .applied_at = "2026-11-21T14:00:00.000Z",
            .placement = {.service_addresses = {{"web", "127.0.0.1:28000"}}, .broker_password = "s3cret"}};
}

struct FileRevisionStoreTest : testing::Test {
    std::string folder = testing::TempDir() + "revisions.XXXXXX";

    void SetUp() override { ASSERT_NE(::mkdtemp(folder.data()), nullptr); }
    void TearDown() override { fs::remove_all(folder); }

    void write(const std::string& name, const std::string& text) {
        fs::create_directories(fs::path(folder + "/" + name).parent_path());
        std::ofstream(folder + "/" + name) << text;
    }
    Result<std::optional<Revision>> current(const std::string& app = {}) {
        return FileRevisionStore(folder).current(app);  // as after a restart
    }
};

TEST_F(FileRevisionStoreTest, a_revision_counts_from_the_moment_it_is_made_current) {
    FileRevisionStore store(folder);
    ASSERT_TRUE(current());
    EXPECT_FALSE(*current());
    ASSERT_TRUE(store.put(revision(1)));
    EXPECT_FALSE(*current());
    ASSERT_TRUE(store.make_current("", 1));
    ASSERT_TRUE(*current());
    const Revision read = **current(), written = revision(1);
    EXPECT_EQ(read.number, 1u);
    EXPECT_EQ(read.source.manifest, written.source.manifest);
    EXPECT_EQ(read.source.file, written.source.file);
    EXPECT_EQ(read.source.directory, written.source.directory);
    EXPECT_EQ(read.applied_at, written.applied_at);
    EXPECT_EQ(read.placement, written.placement);
}

TEST_F(FileRevisionStoreTest, a_revision_taken_back_or_written_anew_leaves_nothing) {
    FileRevisionStore store(folder);
    ASSERT_TRUE(store.put(revision(1)));
    ASSERT_TRUE(store.make_current("", 1));
    ASSERT_TRUE(store.put(revision(2)));
    store.discard("", 2);
    EXPECT_THAT(*store.list(""), ElementsAre(1u));
    write("rev-2/manifest.json", "half of somethi");
    write("rev-3.new/manifest.json", "a crash in the midd");
    ASSERT_TRUE(store.put(revision(2)));
    ASSERT_TRUE(store.make_current("", 2));
    EXPECT_EQ((*current())->number, 2u);
    EXPECT_EQ((*current())->source.manifest, revision(2).source.manifest);
}

TEST_F(FileRevisionStoreTest, the_newest_few_are_kept) {
    FileRevisionStore store(folder);
    for (std::uint64_t number = 1; number <= FileRevisionStore::kept + 3; ++number) {
        ASSERT_TRUE(store.put(revision(number)));
        ASSERT_TRUE(store.make_current("", number));
    }
    EXPECT_EQ(store.list("")->size(), FileRevisionStore::kept);
    EXPECT_EQ(store.list("")->front(), 4u);
}

TEST_F(FileRevisionStoreTest, applications_are_kept_apart) {
    FileRevisionStore store(folder);
    EXPECT_THAT(*store.applications(), IsEmpty());
    for (const char* app : {"", "shop", "bakery"}) {
        ASSERT_TRUE(store.put(revision(app[0] == 'b' ? 7 : 1, app)));
        ASSERT_TRUE(store.make_current(app, app[0] == 'b' ? 7 : 1));
    }
    EXPECT_THAT(*store.applications(), ElementsAre("", "bakery", "shop"));
    EXPECT_EQ((*current("bakery"))->number, 7u);
    EXPECT_EQ((*current("bakery"))->source.app, "bakery");
    EXPECT_EQ((*current("shop"))->number, 1u);
    EXPECT_FALSE(*current("nobody"));
}

TEST_F(FileRevisionStoreTest, what_cannot_be_read_is_named_and_never_half_believed) {
    FileRevisionStore store(folder);
    ASSERT_TRUE(store.put(revision(1)));
    ASSERT_TRUE(store.make_current("", 1));
    for (const char* name : {"manifest.json", "origin.json", "placement.json"}) {
        const std::string whole = *io::read_file(folder + "/rev-1/" + name);
        for (const std::string& text : {std::string(), whole.substr(0, whole.size() / 2), std::string("[]"),
                                        std::string(R"({"version": 3})")}) {
            write(std::string("rev-1/") + name, text);
            const Result<std::optional<Revision>> read = current();
            ASSERT_FALSE(read) << name << ": " << text;
            EXPECT_EQ(read.error().kind, Error::Kind::corrupt);
            EXPECT_NE(read.error().message.find(name), std::string::npos);
        }
        write(std::string("rev-1/") + name, whole);
    }
    EXPECT_TRUE(current());
}

// As main wrote it at 56fcf59; manifest.json has not changed.
TEST_F(FileRevisionStoreTest, the_version_before_is_read) {
    write("rev-7/manifest.json", manifest::to_json(revision(7).source.manifest).dump(2));
    write("rev-7/origin.json",
          R"({"applied_at": "2026-11-20T09:00:00.000Z", "directory": "/srv/shop", "file": "havn.toml"})");
    write("rev-7/supervisor.json", R"({
        "app": "shop", "embedded_broker": true, "gateway_threads": 0, "revision": 7,
        "listeners": [
            {"address": "0.0.0.0:8080", "name": "edge", "part": "gateway"},
            {"address": "127.0.0.1:28123", "name": "service:web", "part": "gateway"},
            {"address": "127.0.0.1:5672", "name": "amqp", "part": "broker"},
            {"address": "unix:run/amqp.sock", "name": "amqp", "part": "broker"}],
        "programs": [{
            "command": "serve 7", "depends_on": [], "directory": "/srv/shop",
            "environment": {"AMQP_URL": "amqp://havn:0123abcd@127.0.0.1:5672/", "HAVN_APP": "shop"},
            "instances": 1, "kind": "service", "log_backups": 10, "log_bytes_max": 52428800, "name": "web",
            "start_timeout_ms": 30000, "startretries": 3, "startsecs_ms": 1000, "stop_timeout_ms": 10000,
            "user": ""}]})");
    write("rev-7/broker.json", R"({
        "channels_max": 2047, "connections_max": 20000, "frame_bytes_max": 131072, "heartbeat_seconds": 60,
        "memory_bytes": 0, "memory_bytes_for_content": 67108864, "message_bytes_max": 134217728,
        "queues": [], "revision": 7,
        "users": [{"loopback_only": false, "name": "havn", "password": "0123abcd"},
                  {"loopback_only": true, "name": "guest", "password": "guest"}]})");
    write("rev-7/gateway.json", R"({"revision": 7})");
    fs::create_symlink("rev-7", folder + "/current");
    const Result<std::optional<Revision>> read = current();
    ASSERT_TRUE(read) << read.error().text();
    ASSERT_TRUE(*read);
    EXPECT_EQ((*read)->number, 7u);
    EXPECT_EQ((*read)->source.manifest, revision(7).source.manifest);
    EXPECT_EQ((*read)->source.directory, "/srv/shop");
    EXPECT_EQ((*read)->applied_at, "2026-11-20T09:00:00.000Z");
    EXPECT_EQ((*read)->placement.service_addresses.at("web"), "127.0.0.1:28123");
    EXPECT_EQ((*read)->placement.broker_password, "0123abcd");
}

TEST_F(FileRevisionStoreTest, scales_are_replaced_whole) {
    const std::string path = folder + "/scale.json";
    EXPECT_EQ(*FileScaleStore(path).load(), ScaleTable{});
    ScaleTable table;
    table.set("", {{"web", 5}}, revision(1).source.manifest);
    ASSERT_TRUE(FileScaleStore(path).save(table));
    EXPECT_EQ(*FileScaleStore(path).load(), table);
    write("scale.json", "half of somethi");
    EXPECT_EQ(FileScaleStore(path).load().error().kind, Error::Kind::corrupt);
}

TEST_F(FileRevisionStoreTest, what_components_read_changes_at_once_and_not_before) {
    ComponentFiles files(folder + "/parts");
    Compiled first, second;
    first.gateway.revision = 1;
    second.gateway.revision = 2;
    ASSERT_TRUE(files.prepare(first));
    EXPECT_FALSE(fs::exists(folder + "/parts/gateway.json"));
    ASSERT_TRUE(files.commit());
    ASSERT_TRUE(files.prepare(second));
    const auto number = [this] {
        return (*parse_json(*io::read_file(folder + "/parts/gateway.json")))["revision"];
    };
    EXPECT_EQ(number(), 1u);
    ASSERT_TRUE(files.commit());
    EXPECT_EQ(number(), 2u);
}

}  // namespace
}  // namespace havn::control
