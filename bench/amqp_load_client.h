// A small AMQP 0-9-1 client for load: one connection, one channel, frames built straight into a buffer. It
// knows just enough of the protocol to publish, confirm, consume and acknowledge as fast as a socket allows,
// and is no judge of a broker's correctness. Any unexpected answer ends the program with a message.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace havn::bench {

// Class and method of the answers the load program looks at (AMQP 0-9-1, section 1).
enum class Method : std::uint32_t {
    connection_start = 10 << 16 | 10,
    connection_start_ok = 10 << 16 | 11,
    connection_tune = 10 << 16 | 30,
    connection_tune_ok = 10 << 16 | 31,
    connection_open = 10 << 16 | 40,
    connection_open_ok = 10 << 16 | 41,
    connection_close = 10 << 16 | 50,
    channel_open = 20 << 16 | 10,
    channel_open_ok = 20 << 16 | 11,
    channel_close = 20 << 16 | 40,
    queue_declare = 50 << 16 | 10,
    queue_declare_ok = 50 << 16 | 11,
    queue_delete = 50 << 16 | 40,
    queue_delete_ok = 50 << 16 | 41,
    basic_qos = 60 << 16 | 10,
    basic_qos_ok = 60 << 16 | 11,
    basic_consume = 60 << 16 | 20,
    basic_consume_ok = 60 << 16 | 21,
    basic_publish = 60 << 16 | 40,
    basic_deliver = 60 << 16 | 60,
    basic_ack = 60 << 16 | 80,
    basic_nack = 60 << 16 | 120,
    confirm_select = 85 << 16 | 10,
    confirm_select_ok = 85 << 16 | 11,
};

// Appends AMQP's types, big-endian.
class Writer {
  public:
    template <class T>
    Writer& number(T value) {
        for (int shift = static_cast<int>(sizeof(T)) * 8 - 8; shift >= 0; shift -= 8)
            bytes.push_back(static_cast<char>(value >> shift));
        return *this;
    }
    Writer& shortstr(std::string_view text);
    Writer& longstr(std::string_view text);  // a table too: its fields are the text
    std::string bytes;
};

// Takes AMQP's types from the front of a payload; what is not there reads as zero.
class Reader {
  public:
    explicit Reader(std::string_view bytes) : bytes_(bytes) {}
    template <class T>
    T number() {
        T value = 0;
        for (char byte : take(sizeof(T)))
            value = static_cast<T>(value << 8 | static_cast<unsigned char>(byte));
        return value;
    }
    std::string_view shortstr() { return take(number<std::uint8_t>()); }
    std::string_view take(std::size_t count);

  private:
    std::string_view bytes_;
};

std::string method_frame(std::uint16_t channel, Method method, std::string_view arguments);

// The three frames of a persistent message to a queue through the default exchange.
std::string publish_frames(std::string_view queue, std::string_view body);

struct Frame {
    enum class Type : std::uint8_t { method = 1, header = 2, body = 3, heartbeat = 8 };
    Type type;
    Method method;             // of a method frame
    std::string_view payload;  // of a method frame: its arguments. Good until the next fill()
};

class Client {
  public:
    // Connects to 127.0.0.1:port as guest, opens channel 1.
    explicit Client(std::uint16_t port);
    ~Client();
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    // Sends a method and reads on until `answer`; for set-up, when nothing else is on its way.
    std::string call(std::uint16_t channel, Method method, std::string_view arguments, Method answer);

    // Queued until flush(), which writes what the socket takes now.
    void send(std::string_view bytes) { out_.append(bytes); }
    void flush();
    std::size_t unsent() const { return out_.size() - sent_; }

    // Waits up to `milliseconds` (-1: for ever) for bytes or for room to write, then reads what is there.
    void fill(int milliseconds);

    // The next whole frame that was read. False: none, fill() again.
    bool next(Frame& frame);

  private:
    int fd_;
    std::string out_;
    std::size_t sent_ = 0;
    std::string in_;
    std::size_t read_ = 0, filled_ = 0;
};

[[noreturn]] void die(std::string_view message);

}  // namespace havn::bench
