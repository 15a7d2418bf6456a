#include "sim/gateway_transport.h"

namespace havn::sim {

SimTransport::SimTransport(World& world, End& end, gateway::TransportUser& user)
    : world_(world), end_(end), user_(user) {
    end_.listen([this](End::Edge edge) {
        world_.turn([&] {
            if (edge.readable || edge.peer_finished || edge.broken) readable_ = true;
            if (edge.peer_finished) peer_finished_ = true;
            if (edge.broken) broken_ = true;
            if (edge.writable && opening_ == Opening::open) writable_ = true;
            user_.on_transport_ready();
        });
    });
}

void SimTransport::begin_opening() {
    opening_ = Opening::pending;
    writable_ = false;
}

void SimTransport::opened(bool well) {
    world_.turn([&] {
        opening_ = well ? Opening::open : Opening::failed;
        writable_ = true;
        if (!well) note_broken();
        user_.on_transport_ready();
    });
}

gateway::Transport::Received SimTransport::receive(char* into, std::size_t size) {
    const End::Moved moved = end_.receive(into, size);
    switch (moved.status) {
        case End::Status::ok:
            return {Status::ok, moved.size};
        case End::Status::blocked:
            readable_ = false;
            return {Status::blocked};
        case End::Status::closed:
            return {Status::closed};
        case End::Status::failed:
            break;
    }
    return {Status::failed};
}

gateway::Transport::Status SimTransport::send(gateway::Outgoing& outgoing) {
    while (!outgoing.empty()) {
        const End::Moved moved = end_.send(outgoing.head.empty() ? outgoing.body : outgoing.head);
        switch (moved.status) {
            case End::Status::ok:
                outgoing.advance(moved.size);
                break;
            case End::Status::blocked:
                writable_ = false;
                return Status::blocked;
            case End::Status::closed:
            case End::Status::failed:
                return Status::failed;
        }
    }
    return Status::ok;
}

void SimTransport::close() {
    alive_.reset();
    if (end_.open()) end_.close();
}

void SimTransport::reset() {
    alive_.reset();
    if (end_.open()) end_.reset();
    close();
}

}  // namespace havn::sim
