#include "base/crc32c.h"

#include <gtest/gtest.h>

#include <string>

namespace havn {
namespace {

TEST(Crc32c, agrees_with_the_vectors_of_rfc_3720) {
    std::string ascending;
    for (int i = 0; i < 32; ++i) ascending += static_cast<char>(i);
    EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAu);
    EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62A8AB43u);
    EXPECT_EQ(crc32c(ascending), 0x46DD794Eu);
    EXPECT_EQ(crc32c("123456789"), 0xE3069283u);
}

TEST(Crc32c, both_ways_agree_at_every_length_and_start) {
    std::string data;
    for (int i = 0; i < 300; ++i) data += static_cast<char>(i * 31 + 7);
    for (std::size_t from = 0; from < 9; ++from) {
        for (std::size_t size = 0; from + size <= data.size(); ++size) {
            const std::string_view part = std::string_view(data).substr(from, size);
            ASSERT_EQ(crc32c(part), crc32c_portable(part)) << from << "+" << size;
        }
    }
}

TEST(Crc32c, of_a_whole_is_that_of_its_parts_in_turn) {
    const std::string data = "one checksum over two pieces";
    for (std::size_t cut = 0; cut <= data.size(); ++cut) {
        EXPECT_EQ(crc32c(data.substr(cut), crc32c(data.substr(0, cut))), crc32c(data));
    }
}

}  // namespace
}  // namespace havn
