// Any bytes as a stream of AMQP frames: nothing crashes, and what decodes encodes to the same bytes.
#include "wire/amqp/frame.h"

#include <cstdlib>

#include "wire/amqp/methods.h"
#include "wire/amqp/properties.h"

using namespace havn::amqp;

namespace {

// Bits beyond the last named one are ignored on input and 0 on output, so a second pass must be the fixed
// point.
template <class Method>
void check(std::string_view arguments) {
    const auto method = decode<Method>(arguments);
    if (!method) return;
    std::string frame;
    append_method(frame, 1, *method);
    const auto parsed = parse_frame(frame, 0);
    if (parsed.status != Parse::complete || parsed.eaten != frame.size()) std::abort();
    if (decode<Method>(parsed.frame.payload.substr(sizeof(MethodId))) != method) std::abort();
}

void check_method(MethodId id, std::string_view arguments) {
    switch (id) {
#define METHOD(Class, class_number, Name, method_number, has_content, ...) \
    case Class##Name::id:                                                  \
        return check<Class##Name>(arguments);
#include "wire/amqp/methods.def"
#undef METHOD
        default:
            return;
    }
}

void check_header(std::string_view payload) {
    const auto header = parse_content_header(payload);
    if (!header) return;
    const auto properties = parse_properties(header->properties);
    if (!properties) return;
    std::string again;
    append_properties(again, *properties);
    if (again != header->properties) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view in(reinterpret_cast<const char*>(data), size);
    while (true) {
        const FrameParse parsed = parse_frame(in, 131'072);
        if (parsed.status != Parse::complete) return 0;
        if (parsed.eaten > in.size()) std::abort();
        const std::string_view payload = parsed.frame.payload;
        if (parsed.frame.type == 1 && payload.size() >= 4) {
            check_method(load<MethodId>(payload.data()), payload.substr(4));
        }
        if (parsed.frame.type == 2) check_header(payload);
        in.remove_prefix(parsed.eaten);
    }
}
