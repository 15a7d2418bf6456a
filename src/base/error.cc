#include "base/error.h"

#include <cerrno>
#include <system_error>

namespace havn {

namespace {

Error::Kind kind_of(int error_number) {
    switch (error_number) {
        case ENOENT:
            return Error::Kind::not_found;
        case EACCES:
        case EPERM:
        case EROFS:
            return Error::Kind::denied;
        case EEXIST:
            return Error::Kind::conflict;
        case EADDRINUSE:
        case EAGAIN:
        case ECONNREFUSED:
        case ECONNRESET:
        case EPIPE:
        case ENOSPC:
        case ETIMEDOUT:
            return Error::Kind::unavailable;
        default:
            return Error::Kind::internal;
    }
}

}  // namespace

std::unexpected<Error> fail_errno(std::string_view what, int error_number) {
    std::string message(what);
    message += ": ";
    message += std::system_category().message(error_number);
    return fail(kind_of(error_number), std::move(message));
}

std::unexpected<Error> fail_errno(std::string_view what) {
    return fail_errno(what, errno);
}

std::string_view name(Error::Kind kind) {
    switch (kind) {
        case Error::Kind::invalid:
            return "invalid";
        case Error::Kind::not_found:
            return "not_found";
        case Error::Kind::conflict:
            return "conflict";
        case Error::Kind::denied:
            return "denied";
        case Error::Kind::unavailable:
            return "unavailable";
        case Error::Kind::corrupt:
            return "corrupt";
        case Error::Kind::internal:
            return "internal";
    }
    return "internal";
}

}  // namespace havn
