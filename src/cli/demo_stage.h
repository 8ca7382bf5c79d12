#pragma once

#include <chrono>
#include <ostream>
#include <string>
#include <string_view>

namespace penstock::cli {

enum class Pace : std::uint8_t { watched, fast };
enum class Colour : std::uint8_t { on, off };
enum class Mark : std::uint8_t { plain, good, bad, quiet };

/// What a person sees of the demonstration: headings, lines, a pause to read them.
class DemoScreen {
 public:
  DemoScreen(std::ostream& out, Pace pace, Colour colour)
      : out_(out), pace_(pace), colour_(colour) {}

  void heading(std::string_view text);
  void line(std::string_view text, Mark mark = Mark::plain);
  /// Time to read; none at Pace::fast.
  void pause(std::chrono::milliseconds time);

 private:
  std::ostream& out_;
  Pace pace_;
  Colour colour_;
  int scene_ = 0;
};

}  // namespace penstock::cli
