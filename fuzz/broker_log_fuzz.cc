// Arbitrary bytes as the segments of a log: recovery ends, serves deliveries once, and what it wrote or
// rewrote itself is accepted by the next recovery, in the same order. Odd first byte: the input is payloads
// of records, and gets the checksums a fuzzer cannot find.
#include <fuzzer/FuzzedDataProvider.h>
#include <spdlog/spdlog.h>

#include "base/assert.h"
#include "broker/log/log_testing.h"

namespace havn::broker {
namespace {

std::string with_checksums(FuzzedDataProvider& input, SegmentName name) {
    ByteBuffer file;
    add_file_header(file, name.number, name.salt);
    while (input.remaining_bytes() > 0 && file.size() < 65536) {
        const Place place{name.salt, static_cast<std::uint32_t>(file.size())};
        const auto type = input.ConsumeIntegralInRange<std::uint8_t>(1, 12);
        const std::string payload = input.ConsumeRandomLengthString(300);
        if (type == static_cast<std::uint8_t>(RecordType::message) && input.ConsumeBool()) {
            const QueueId queues[] = {QueueId{input.ConsumeIntegral<std::uint8_t>()}};
            add_message(file, place, input.ConsumeIntegral<std::uint8_t>(), queues, {"", "key", "", payload},
                        input.ConsumeIntegral<std::int64_t>());
        } else if (type == static_cast<std::uint8_t>(RecordType::moved) && input.ConsumeBool()) {
            const MovedDelivery from[] = {{QueueId{1}, input.ConsumeIntegral<std::uint8_t>(), 1}};
            const std::uint32_t segment = input.ConsumeIntegralInRange<std::uint32_t>(0, name.number);
            const DeliveryId order{segment, input.ConsumeIntegral<std::uint8_t>()};
            add_moved(file, place, input.ConsumeIntegral<std::uint8_t>(), {segment, order, 0}, from,
                      {"", "key", "", payload});
        } else {
            add_record(file, place, static_cast<RecordType>(type), payload);
        }
    }
    return std::string(file.view());
}

void check_once(const Recovered& recovered) {
    std::set<DeliveryId> seen;
    for (const Recovered::Delivery& delivery : recovered.deliveries) {
        HAVN_ASSERT(seen.insert(delivery.id).second, "deliveries come once");
    }
}

void recover(FuzzedDataProvider& input) {
    LogOnLossyDisk log;
    const bool checksums = input.ConsumeBool();
    const std::uint32_t segments = input.ConsumeIntegralInRange<std::uint32_t>(1, 3);
    for (std::uint32_t number = 1; number <= segments; ++number) {
        const SegmentName name{number, number};
        auto inode = std::make_shared<LossyDisk::Inode>();
        inode->now = checksums ? with_checksums(input, name) : input.ConsumeRandomLengthString(65536);
        log.disk.names[name.file()] = inode;
        log.disk.durable_names[name.file()] = inode;
    }
    log.next_salt = 100;
    HAVN_ASSERT(log.open(), "whatever stands in the segments, the log opens");
    check_once(log.recovered);
    const std::vector<std::string> bodies = log.recovered.bodies();
    const std::map<std::string, std::string> topology = log.recovered.topology;
    for (int ticks = 0; ticks < 4; ++ticks) log.sync();  // what can be rewritten is
    log.reopen();
    check_once(log.recovered);
    HAVN_ASSERT(log.recovered.bodies() == bodies, "recovering again gives the same");
    HAVN_ASSERT(log.recovered.topology == topology, "recovering again gives the same");
}

}  // namespace
}  // namespace havn::broker

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    spdlog::set_level(spdlog::level::off);
    FuzzedDataProvider input(data, size);
    havn::broker::recover(input);
    return 0;
}
