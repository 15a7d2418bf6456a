// Reads messages back whose content was dropped from memory: from a batch on its way to the disk, or from a
// segment's file.
//
// Error::corrupt says that the record is not what was written and never will be. Every other failure is
// Error::unavailable and says nothing about the message. Both are logged here: the first for each message,
// the second when it begins and when it is over.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "broker/core/message/journal.h"
#include "broker/log/segment.h"
#include "broker/log/segment_reader.h"
#include "broker/log/storage.h"
#include "broker/log/writer.h"

namespace havn::broker {

class MessageReader {
  public:
    MessageReader(const Storage& storage, SegmentReader& files) : storage_(storage), files_(files) {}

    // The message of that delivery, whose record stands at `offset` of `segment`. `batches`: where it may be
    // in memory; null ones are passed over. `written`: how far the segment's file is written.
    Result<MessagePtr> read(DeliveryId delivery, std::uint32_t offset, const Segment& segment,
                            std::span<const Batch* const> batches, std::uint32_t written);

    std::uint64_t failures() const { return failures_; }     // that were Error::unavailable
    const std::string& failure() const { return failure_; }  // why the latest read failed; empty: it did not

  private:
    const Storage& storage_;  // for names in messages; outlives this, as `files_` does
    SegmentReader& files_;
    std::uint64_t failures_ = 0;
    std::string failure_;
};

}  // namespace havn::broker
