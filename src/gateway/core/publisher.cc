#include "gateway/core/publisher.h"

namespace havn::gateway {

std::string_view Publisher::name(Outcome outcome) {
    switch (outcome) {
        case Outcome::confirmed:
            return "confirmed";
        case Outcome::unroutable:
            return "unroutable";
        case Outcome::refused:
            return "refused";
        case Outcome::blocked:
            return "blocked";
        case Outcome::withdrawn:
        case Outcome::timed_out:
            return "timeout";
    }
    return "";
}

std::string_view Publisher::message(Outcome outcome) {
    switch (outcome) {
        case Outcome::confirmed:
            return "the job is queued";
        case Outcome::unroutable:
            return "the queue of this route does not exist; the job was not accepted";
        case Outcome::refused:
            return "the broker refused the job; it was not accepted";
        case Outcome::blocked:
            return "the broker takes no messages now; the job was not accepted, send it again later";
        case Outcome::withdrawn:
            return "the broker did not take the job in time; it was not accepted, send it again";
        case Outcome::timed_out:
            return "the broker did not confirm the job in time; it may have been accepted all the same, so "
                   "send it "
                   "again only if doing it twice does no harm";
    }
    return "";
}

}  // namespace havn::gateway
