#include "net/name_resolver.h"

#include <future>
#include <string>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/ip/address.hpp>
#include <gtest/gtest.h>

namespace penstock::net {
namespace {

using boost::asio::ip::make_address;

/// Never answers for "hangs" before the test lets it; knows every other name.
NameResolver::Lookup lookup_that_hangs(std::shared_future<void> until) {
  return [until](const std::string& host, std::uint16_t port) -> NameResolver::Endpoints {
    if (host == "hangs") until.wait();
    if (host == "unknown") return {};
    return {{make_address("127.0.0.9"), port}};
  };
}

TEST(NameResolver, ANameThatHangsDelaysNoOtherAndIsNotWaitedFor) {
  std::promise<void> over;
  const std::shared_future<void> until = over.get_future().share();
  boost::asio::io_context io;
  auto work = boost::asio::make_work_guard(io);
  std::string answered;
  {
    NameResolver names(io, lookup_that_hangs(until));
    for (int i = 0; i < 5; ++i) {
      names.resolve("hangs", 1, [&](auto) { answered += "hangs "; });
    }
    names.resolve("known", 80, [&](const NameResolver::Endpoints& found) {
      answered += found.at(0).address().to_string() + " ";
    });
    while (answered.empty()) io.run_one();
    names.resolve("unknown", 80,
                  [&](const auto& found) { answered += found.empty() ? "none " : "some "; });
    while (!answered.ends_with("none ")) io.run_one();
  }
  over.set_value();
  work.reset();
  io.run();
  EXPECT_EQ(answered, "127.0.0.9 none ") << "nothing is told after the end";
}

TEST(NameResolver, KnowsTheSystemsNames) {
  const auto found = NameResolver::system_lookup("localhost", 81);
  ASSERT_FALSE(found.empty());
  for (const auto& endpoint : found) {
    EXPECT_TRUE(endpoint.address().is_loopback());
    EXPECT_EQ(endpoint.port(), 81);
  }
  EXPECT_TRUE(NameResolver::system_lookup("no-such-name.invalid", 81).empty());
}

}  // namespace
}  // namespace penstock::net
