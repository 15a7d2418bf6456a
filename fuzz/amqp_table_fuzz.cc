// Any bytes as a field table: what is valid can be walked to its end and written back as it was.
#include "wire/amqp/table.h"

#include <cstdlib>

using namespace havn::amqp;

namespace {

std::string rewrite(Table table);

std::string rewrite_array(std::string_view array) {
    std::string out;
    ArrayReader reader(array);
    while (const auto value = reader.next()) {
        std::string inner;
        Value copy = *value;
        if (const auto table = value->table()) copy.bytes = inner = rewrite(*table);
        if (const auto nested = value->array()) copy.bytes = inner = rewrite_array(*nested);
        append_value(out, copy);
    }
    return out;
}

std::string rewrite(Table table) {
    TableWriter out;
    TableReader reader(table);
    while (const auto entry = reader.next()) {
        std::string inner;
        Value copy = entry->value;
        if (const auto nested = copy.table()) copy.bytes = inner = rewrite(*nested);
        if (const auto nested = copy.array()) copy.bytes = inner = rewrite_array(*nested);
        copy.integer(), copy.text(), copy.boolean();
        if (!copy.equivalent(copy)) std::abort();
        if (!find(table, entry->name)) std::abort();
        out.value(entry->name, copy);
    }
    return out.bytes();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), std::min<std::size_t>(size, 4'096));
    if (!is_valid_table(bytes)) return 0;
    if (rewrite(Table{bytes}) != bytes) std::abort();
    return 0;
}
