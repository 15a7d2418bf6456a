// What can go wrong and is no defect: a value, named by what the receiver does about it.
//
// A message a person reads says what was found and what was expected; `remedy` says what to type or change.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace havn {

struct Error {
    enum class Kind {
        invalid,      // the input is wrong: tell whoever sent it; trying again changes nothing
        not_found,    // the thing named is not there
        conflict,     // it is there already, or differs from what was asked
        denied,       // no permission
        unavailable,  // try again later: a peer is down, a port is taken, a deadline passed
        corrupt,      // data on disk is not what was written: report, never serve
        internal,     // the system call failed in a way nobody can act on from here
    };

    Kind kind = Kind::internal;
    std::string message;
    std::string remedy;  // may be empty

    // "message; remedy", for logs and terminals.
    std::string text() const { return remedy.empty() ? message : message + "\n  " + remedy; }
};

template <class T = void>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(Error::Kind kind, std::string message, std::string remedy = {}) {
    return std::unexpected(Error{kind, std::move(message), std::move(remedy)});
}

// The failure of a system call, with errno's text: fail_errno("open /x") reads "open /x: No such file …".
std::unexpected<Error> fail_errno(std::string_view what, int error_number);
std::unexpected<Error> fail_errno(std::string_view what);  // reads errno

std::string_view name(Error::Kind kind);

}  // namespace havn
