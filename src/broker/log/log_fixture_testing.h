// For tests of the log that share a fixture: see log_testing.h for what it stands on.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "broker/log/log_testing.h"

namespace havn::broker {

// A test of the log begins with an empty one.
struct LogTest : testing::Test, LogOnLossyDisk {
    explicit LogTest(std::uint32_t ticks = UINT32_MAX) {  // by default no segment is rewritten
        rewrite_after_ticks = ticks;
        EXPECT_TRUE(open());
    }

    // Publishes until a new segment is begun; what stands in it is not looked at.
    std::uint32_t fill_segment(std::vector<DeliveryId>& ids) {
        const std::uint32_t segment = publish_into(ids);
        while (publish_into(ids) == segment) {
        }
        return segment;
    }
    std::uint32_t publish_into(std::vector<DeliveryId>& ids) {
        ids.push_back(publish("message " + std::to_string(ids.size())));
        return ids.back().segment;
    }
    // Where a text stands in a segment's file.
    std::size_t find_text(std::uint32_t segment, std::string_view text) {
        return bytes_of(segment).find(text);
    }
};

}  // namespace havn::broker
