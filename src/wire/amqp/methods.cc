#include "wire/amqp/methods.h"

namespace havn::amqp {

namespace {

const char* find_title(MethodId id) {
    switch (id) {
#define METHOD(Class, class_number, Name, method_number, has_content, ...) \
    case Class##Name::id:                                                  \
        return Class##Name::title;
#include "wire/amqp/methods.def"
#undef METHOD
        default:
            return nullptr;
    }
}

}  // namespace

std::string_view method_name(MethodId id) {
    const char* title = find_title(id);
    return title ? title : "unknown";
}

bool is_known_method(MethodId id) {
    return find_title(id) != nullptr;
}

}  // namespace havn::amqp
