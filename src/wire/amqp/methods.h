// The methods as structures, and their codec: both generated from methods.def.
//
// decode<M>(arguments) reads the arguments of a method frame (what follows class and method id); views point
// into them. Nothing is returned when they are cut short, have bytes left over, or hold a malformed field
// table. append_method() writes a whole frame. Strings longer than a short string can hold are a defect of
// the caller.
#pragma once

#include <optional>
#include <string>

#include "wire/amqp/bytes.h"
#include "wire/amqp/frame.h"
#include "wire/amqp/table.h"
#include "wire/amqp/types.h"

namespace havn::amqp {

// Class and method in one number, as they stand at the start of a method frame.
using MethodId = std::uint32_t;
constexpr MethodId method_id(std::uint16_t class_id, std::uint16_t method) {
    return (MethodId{class_id} << 16) | method;
}

#define FIELD(type, name) type name{};
#define METHOD(Class, class_number, Name, method_number, has_content, ...)     \
    struct Class##Name {                                                       \
        static constexpr MethodId id = method_id(class_number, method_number); \
        static constexpr bool content = has_content;                           \
        static constexpr const char* title = #Class "." #Name;                 \
        __VA_ARGS__                                                            \
        bool operator==(const Class##Name&) const = default;                   \
    };
#include "wire/amqp/methods.def"
#undef METHOD
#undef FIELD

// visit(method, f) calls f for every field in the order of the wire.
#define FIELD(type, name) f(method.name);
#define METHOD(Class, class_number, Name, method_number, has_content, ...)           \
    template <class F>                                                               \
    void visit([[maybe_unused]] Class##Name& method, [[maybe_unused]] F&& f) {       \
        __VA_ARGS__                                                                  \
    }                                                                                \
    template <class F>                                                               \
    void visit([[maybe_unused]] const Class##Name& method, [[maybe_unused]] F&& f) { \
        __VA_ARGS__                                                                  \
    }
#include "wire/amqp/methods.def"
#undef METHOD
#undef FIELD

// "Queue.DeclareOk"; "unknown" for what the table does not have.
std::string_view method_name(MethodId id);
bool is_known_method(MethodId id);

// Consecutive bits share an octet, the first in its lowest bit (specification 4.2.5.2).
class FieldDecoder {
  public:
    explicit FieldDecoder(std::string_view bytes) : in_(bytes) {}

    void operator()(Octet& value) { integer(value); }
    void operator()(Short& value) { integer(value); }
    void operator()(Long& value) { integer(value); }
    void operator()(LongLong& value) { integer(value); }
    void operator()(ShortString& value) { bits_ = 0, value = in_.short_string(); }
    void operator()(LongString& value) { bits_ = 0, value = in_.long_string(); }
    void operator()(Table& value) {
        bits_ = 0;
        value.bytes = in_.long_string();
        if (!is_valid_table(value.bytes)) in_.fail();
    }
    void operator()(Bit& value) {
        if (bits_ == 0 || bits_ == 8) octet_ = in_.integer<std::uint8_t>(), bits_ = 0;
        value = (octet_ >> bits_++) & 1;
    }
    bool complete() const { return in_.ok() && in_.at_end(); }

  private:
    template <class Integer>
    void integer(Integer& value) {
        bits_ = 0;
        value = in_.integer<Integer>();
    }

    Reader in_;
    unsigned bits_ = 0;  // used of octet_; 0 = none begun
    std::uint8_t octet_ = 0;
};

class FieldSizer {
  public:
    template <class Integer>
    void operator()(const Integer&) {
        bits_ = 0, size_ += sizeof(Integer);
    }
    void operator()(const ShortString& value) {
        HAVN_ASSERT(value.size() <= 255, "a short string");
        bits_ = 0, size_ += 1 + value.size();
    }
    void operator()(const LongString& value) { bits_ = 0, size_ += 4 + value.size(); }
    void operator()(const Table& value) { bits_ = 0, size_ += 4 + value.bytes.size(); }
    void operator()(const Bit&) {
        if (bits_ == 0 || bits_ == 8) ++size_, bits_ = 0;
        ++bits_;
    }
    std::size_t size() const { return size_; }

  private:
    std::size_t size_ = 0;
    unsigned bits_ = 0;
};

class FieldEncoder {
  public:
    explicit FieldEncoder(char* to) : to_(to) {}

    template <class Integer>
    void operator()(const Integer& value) {
        bits_ = 0, to_ = store(to_, value);
    }
    void operator()(const ShortString& value) {
        bits_ = 0;
        to_ = store(to_, static_cast<std::uint8_t>(value.size()));
        to_ = store_bytes(to_, value);
    }
    void operator()(const LongString& value) { long_string(value); }
    void operator()(const Table& value) { long_string(value.bytes); }
    void operator()(const Bit& value) {
        if (bits_ == 0 || bits_ == 8) *to_++ = 0, bits_ = 0;
        if (value) to_[-1] = static_cast<char>(to_[-1] | (1 << bits_));
        ++bits_;
    }
    char* position() const { return to_; }

  private:
    void long_string(std::string_view value) {
        bits_ = 0;
        to_ = store(to_, static_cast<std::uint32_t>(value.size()));
        to_ = store_bytes(to_, value);
    }

    char* to_;
    unsigned bits_ = 0;
};

template <class Method>
std::optional<Method> decode(std::string_view arguments) {
    Method method;
    FieldDecoder decoder(arguments);
    visit(method, decoder);
    if (!decoder.complete()) return std::nullopt;
    return method;
}

template <class Method>
std::size_t method_frame_size(const Method& method) {
    FieldSizer sizer;
    visit(method, sizer);
    return frame_overhead + sizeof(MethodId) + sizer.size();
}

// Writes exactly method_frame_size() bytes, returns where they end.
template <class Method>
char* store_method_frame(char* to, std::uint16_t channel, const Method& method, std::size_t frame_size) {
    to = store_frame_head(to, FrameType::method, channel, frame_size - frame_overhead);
    to = store(to, Method::id);
    FieldEncoder encoder(to);
    visit(method, encoder);
    return store(encoder.position(), frame_end);
}

template <class Method>
void append_method(std::string& out, std::uint16_t channel, const Method& method) {
    const std::size_t size = method_frame_size(method);
    store_method_frame(extend(out, size), channel, method, size);
}

}  // namespace havn::amqp
