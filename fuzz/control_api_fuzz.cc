// What a client sends to the control API: the first line says which request it is, the rest is its body (of
// `logs`: its query, a pair on each line). What is accepted keeps its bounds; what is refused says why.
#include <cstdlib>

#include "base/text/percent.h"
#include "control/core/api_requests.h"
#include "control/core/scale.h"
#include "control/core/submission.h"
#include "manifest/plan.h"
#include "rpc/message.h"

using namespace havn;

namespace {

void expect(bool holds) {
    if (!holds) std::abort();
}

template <class T>
void expect_cause(const Result<T>& result) {
    expect(result.has_value() || !result.error().message.empty());
    if (!result) std::ignore = rpc::error(result.error());
}

void read_logs(std::string_view text) {
    std::map<std::string, std::string> query;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const std::string_view pair = text.substr(0, end);
        const std::size_t equals = std::min(pair.find('='), pair.size());
        query[percent_decode(pair.substr(0, equals))] =
            percent_decode(pair.substr(std::min(equals + 1, pair.size())));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    const Result<control::LogsRequest> request = control::read_logs(query);
    expect_cause(request);
    if (!request) return;
    expect(request->lines <= control::log_lines_max && request->instance <= control::instance_max);
    expect(request->name.size() <= control::name_bytes_max);
}

manifest::Manifest some_manifest() {
    manifest::Manifest manifest;
    manifest.services.emplace_back().name = "web";
    manifest.workers.emplace_back().name = "mail";
    manifest.workers.back().scale = manifest::Scale{.min = 1, .max = 4};
    return manifest;
}

void read_counts(const Json& body) {
    const Result<control::Counts> counts = control::counts_from_json(body);
    expect_cause(counts);
    if (!counts) return;
    const manifest::Manifest manifest = some_manifest();
    expect_cause(control::check_names(*counts, manifest));
    control::ScaleTable table;
    table.set("", *counts, manifest);
    const manifest::Manifest scaled = control::with_counts(manifest, table.holding("", manifest));
    expect(scaled.services[0].instances <= 1'000 && scaled.workers[0].instances <= 1'000);
    std::ignore = manifest::render(manifest::diff(manifest, scaled));
}

void read_submission(const Json& body) {
    std::vector<manifest::Diagnostic> diagnostics;
    const Result<control::SubmitRequest> asked = control::read_submission(body, &diagnostics);
    expect_cause(asked);
    if (!asked) return;
    expect(asked->submission.directory.starts_with('/'));
    std::ignore = manifest::to_json(manifest::diff(std::nullopt, asked->submission.manifest))
                      .dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const std::size_t line = std::min(text.find('\n'), text.size());
    const std::string_view what = text.substr(0, line);
    const rpc::Request request{.method = "POST",
                               .path = {},
                               .parameters = {},
                               .query = {},
                               .body = std::string(text.substr(std::min(line + 1, text.size())))};
    if (what == "logs") {
        read_logs(request.body);
        return 0;
    }
    const Result<Json> body = request.json();
    expect_cause(body);
    if (!body) return 0;
    if (what == "restart") {
        const Result<control::RestartRequest> restart = control::read_restart(*body);
        expect_cause(restart);
        if (restart) expect(!restart->name.empty() && restart->instance <= control::instance_max);
    } else if (what == "scale") {
        read_counts(*body);
    } else {
        read_submission(*body);
    }
    return 0;
}
