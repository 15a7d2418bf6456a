#include "broker/core/session.h"

#include "broker/core/conversation.h"

namespace havn::broker {

Session::Session(Broker& broker, Peer peer, Time now)
    : connection_(std::make_unique<Conversation>(*this, broker.vhost(), std::move(peer), now)) {}
Session::~Session() = default;

std::size_t Session::on_bytes(std::string_view in, Time now) {
    return connection_->on_bytes(in, now);
}
std::string& Session::output() {
    return connection_->out.next();
}
void Session::on_writable(std::size_t unsent) {
    connection_->on_writable(unsent);
}
void Session::release_spare() {
    connection_->out.release_spare();
}
bool Session::has_output() const {
    return !connection_->out.empty();
}
LogPosition Session::waits_for() const {
    return connection_->waits_for();
}
void Session::on_durable(LogPosition position) {
    connection_->on_durable(position);
}
bool Session::paused() const {
    return connection_->paused();
}
Time Session::next_deadline() const {
    return connection_->next_deadline();
}
void Session::on_time(Time now) {
    connection_->on_time(now);
}
void Session::excuse_silence(Time now) {
    connection_->excuse_silence(now);
}
bool Session::held_back() const {
    return connection_->held_back();
}
bool Session::choked() const {
    return connection_->choked();
}
bool Session::closed_by_client() const {
    return connection_->closed_by_client();
}
void Session::end(Time now) {
    connection_->end(now);
}
void Session::shut_down(std::string_view text, Time now) {
    connection_->shut_down(text, now);
}
bool Session::closed() const {
    return connection_->closed();
}
const Session::Peer& Session::peer() const {
    return connection_->peer();
}
std::string_view Session::user() const {
    return connection_->user();
}
std::string_view Session::close_reason() const {
    return connection_->close_reason();
}

}  // namespace havn::broker
