#include "server/base/json.h"

#include <gtest/gtest.h>

#include <string>

namespace saed {
namespace {

std::string Nested(size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

TEST(Json, WhatNestsDeeperThanTheStackIsRefused) {
  EXPECT_TRUE(ParseUntrustedJson(Nested(300'000)).is_discarded());
  EXPECT_TRUE(ParseUntrustedJson(R"({"a": 1, "b": )" + Nested(300'000) + "}").is_discarded());
  EXPECT_TRUE(ParseUntrustedJson("{").is_discarded());
  EXPECT_EQ(ParseUntrustedJson(Nested(20)).dump(), Nested(20));
  const auto value = ParseUntrustedJson(R"({"a": {"b": [1, 2.5, "c"]}})");
  EXPECT_EQ(value.dump(), R"({"a":{"b":[1,2.5,"c"]}})");
}

}  // namespace
}  // namespace saed
