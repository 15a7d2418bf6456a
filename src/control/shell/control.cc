#include "control/shell/control.h"

#include <csignal>

#include "base/log.h"
#include "control/engine/embedded_engine.h"
#include "control/engine/external_engine.h"
#include "control/shell/api.h"
#include "control/shell/file_revision_store.h"
#include "control/shell/file_scale_store.h"
#include "control/shell/metrics_listeners.h"
#include "io/loop.h"

namespace havn::control {

namespace {

constexpr const char* socket_path = "run/control.sock";

// The process's parts, in the order they depend on each other.
class Process {
  public:
    explicit Process(io::Fd link)
        : supervisor_(loop_.executor(), std::move(link)),
          components_(loop_.executor(), supervisor_, embedded_engine_),
          reconciler_(loop_.executor(), {revisions_, scales_, files_, supervisor_, components_}),
          api_(reconciler_, supervisor_, components_, {embedded_engine_, external_engine_}),
          server_(loop_.executor()),
          metrics_(loop_.executor(),
                   [this](rpc::Request request) { return api_.recent_metrics(std::move(request)); }) {}

    int run() {
        loop_.spawn(live());
        loop_.run();
        return exit_code_;
    }

  private:
    Task<void> live();
    Task<void> start();

    io::Loop loop_;
    SupervisorLink supervisor_;
    FileRevisionStore revisions_{"applied"};
    FileScaleStore scales_{"applied/scale.json"};
    ComponentFiles files_{"applied/parts"};
    EmbeddedEngine embedded_engine_{"unix:run/broker.sock"};
    ExternalEngine external_engine_;
    ComponentLink components_;
    ReconcilerDriver reconciler_;
    Api api_;
    rpc::Server server_;
    MetricsListeners metrics_;
    int exit_code_ = 0;
};

}  // namespace

Task<void> Process::live() {
    supervisor_.on_table([this] { components_.wake(); });
    supervisor_.on_listeners([this](const link::Listeners& listeners, std::vector<io::Fd> descriptors) {
        if (Result<> taken = metrics_.replace(listeners, std::move(descriptors)); !taken) {
            log::error("/metrics is not answered: {}", taken.error().text());
        }
    });
    loop_.spawn(start());
    co_await supervisor_.receive();
    loop_.stop();  // without a supervisor there is nothing to control; its successor starts another
}

Task<void> Process::start() {
    Result<> resumed = co_await reconciler_.resume();
    if (!resumed) log::error("the applied configuration is not in force: {}", resumed.error().text());
    api_.add_routes(server_);
    if (Result<> listening = server_.listen_as_part(socket_path); !listening) {
        log::error("{}", listening.error().text());
        exit_code_ = 1;
        loop_.stop();
        co_return;
    }
    supervisor_.ready();
    loop_.spawn(reconciler_.keep_time());
    co_await components_.keep_informed();
}

int run() {
    log::init("control");
    ::signal(SIGPIPE, SIG_IGN);
    Result<io::Fd> link = io::inherited_link();
    if (!link) {
        log::error("{}", link.error().text());
        return 1;
    }
    return Process(std::move(*link)).run();
}

}  // namespace havn::control
