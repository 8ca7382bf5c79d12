#include "cli/demo_stage.h"

#include <array>
#include <thread>

#include <fmt/format.h>

namespace penstock::cli {

void DemoScreen::heading(std::string_view text) {
  pause(std::chrono::milliseconds(900));
  bool const coloured = colour_ == Colour::on;
  out_ << fmt::format("\n{}{}. {}{}\n", coloured ? "\x1b[1;36m" : "", ++scene_, text,
                      coloured ? "\x1b[0m" : "")
       << std::flush;
  pause(std::chrono::milliseconds(500));
}

void DemoScreen::line(std::string_view text, Mark mark) {
  constexpr std::array<std::string_view, 4> kColours{"", "\x1b[32m", "\x1b[1;31m", "\x1b[2m"};
  std::string_view const colour = kColours.at(static_cast<std::size_t>(mark));
  bool const coloured = colour_ == Colour::on && !colour.empty();
  out_ << fmt::format("   {}{}{}\n", coloured ? colour : "", text, coloured ? "\x1b[0m" : "")
       << std::flush;
  pause(std::chrono::milliseconds(120));
}

void DemoScreen::pause(std::chrono::milliseconds time) {
  if (pace_ == Pace::watched) std::this_thread::sleep_for(time);
}

}  // namespace penstock::cli
