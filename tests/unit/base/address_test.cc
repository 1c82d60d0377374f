#include "server/base/address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace saed {
namespace {

TEST(AddressTest, HostAndPort) {
  for (const char* good :
       {"127.0.0.1:7070", "localhost:0", "[::1]:65535", ":7070", "a.b:1", "unix:/run/saed.sock"}) {
    EXPECT_TRUE(CheckAddress("--listen", good).ok()) << good;
  }
}

TEST(AddressTest, WhatGrpcWouldTakeForSomethingElse) {
  for (const char* bad : {":99999", "127.0.0.1:65536", "localhost", "localhost:", "localhost:http",
                          "localhost:-1", "localhost:+1", "localhost: 1", "localhost:1 ", "::1:70",
                          "unix:", "", "http://localhost:7070"}) {
    EXPECT_THAT(std::string(CheckAddress("--listen", bad).message()),
                testing::StartsWith("--listen is '" + std::string(bad) + "'"));
  }
}

}  // namespace
}  // namespace saed
