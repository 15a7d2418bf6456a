// Heads, framing and the chunked coding on arbitrary bytes. The first byte says how the rest is cut.
#include <cstdlib>
#include <string>
#include <vector>

#include "wire/http1/chunked.h"
#include "wire/http1/framing.h"
#include "wire/http1/write.h"

using namespace havn::http1;

namespace {

void require(bool condition) {
    if (!condition) std::abort();
}

// A head that is read, written anew and read again is the same, and means the same.
void fuzz_request(std::string_view input) {
    std::vector<Header> storage(32), again_storage(32);
    RequestHead head, again;
    const Parsed parsed = parse_request_head(input, storage, head);
    require(parsed.bytes <= input.size());
    if (parsed.progress != Progress::complete) return;
    std::string text;
    write_request_line(text, head.method_text, head.target);
    for (const Header& header : head.headers) write_header(text, header.name, header.value);
    write_head_end(text);
    const Parsed parsed_again = parse_request_head(text, again_storage, again);
    require(parsed_again.progress == Progress::complete && parsed_again.bytes == text.size());
    require(again.headers.size() == head.headers.size() && again.target == head.target);
    if (head.minor == 0) return;
    const auto facts = inspect(head), facts_again = inspect(again);
    require(facts.has_value() == facts_again.has_value());
    if (facts) require(facts->body == facts_again->body && facts->keep_alive == facts_again->keep_alive);
}

void fuzz_response(std::string_view input) {
    std::vector<Header> storage(32);
    ResponseHead head;
    const Parsed parsed = parse_response_head(input, storage, head);
    require(parsed.bytes <= input.size());
    if (parsed.progress == Progress::complete) (void)inspect(head, Method::get);
}

std::string decode(std::string_view input, std::size_t piece) {
    ChunkedDecoder decoder;
    std::string body;
    while (!input.empty()) {
        const ChunkedDecoder::Step step = decoder.next(input.substr(0, piece));
        require(step.eaten <= piece);
        input.remove_prefix(step.eaten);
        body += step.data;
        if (step.event == ChunkedDecoder::Event::malformed) return body + "!";
        if (step.event == ChunkedDecoder::Event::end) return body + "." + std::string(input);
    }
    return body;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
    fuzz_request(input);
    fuzz_response(input);
    require(decode(input, data[0] % 32u + 1) == decode(input, input.size() + 1));
    return 0;
}
