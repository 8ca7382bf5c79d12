// Settings of the command line: what a source may say is read or refused with a sentence, and what
// --print-config writes is read as the same settings. The first byte chooses a file's bytes, or
// one setting's value.

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include "main/serve_options.h"
#include "main/setting_table.h"
#include "main/settings.h"
#include "main/settings_file.h"
#include "net/json.h"
#include "net/redaction.h"
#include "tests/fuzz/fuzz_input.h"

namespace {

using namespace penstock::main;
using penstock::fuzz::FuzzInput;

/// A file that nobody else sees and that leaves nothing behind.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view text) : descriptor_(memfd_create("settings", MFD_CLOEXEC)) {
    FUZZ_CHECK(descriptor_ >= 0, "a file in memory");
    FUZZ_CHECK(write(descriptor_, text.data(), text.size()) == static_cast<ssize_t>(text.size()),
               "a file in memory takes its text");
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() { close(descriptor_); }
  std::string path() const { return fmt::format("/proc/self/fd/{}", descriptor_); }

 private:
  int descriptor_;
};

void check_options(const Settings& settings) {
  const auto options = serve_options(settings);
  if (!options) {
    FUZZ_CHECK(!options.error().empty(), "a refusal is a sentence");
    return;
  }
  FUZZ_CHECK(options->listen.has_value(), "a server listens");
  FUZZ_CHECK(parse_listen_address(options->listen->str()).has_value(),
             "an address is read as written");
  FUZZ_CHECK(is_loopback(*options->listen) || options->admin_key, "an open server is on loopback");
}

void check_printed(const Settings& settings) {
  const MemoryFile file(settings.print());
  auto texts = read_settings_file(file.path());
  FUZZ_CHECK(texts.has_value(), "what is printed is a settings file");
  const auto again = Settings::resolve({.file = *texts, .file_name = "printed"});
  if (!again) {
    FUZZ_CHECK(penstock::net::is_masked(settings.print()), "what is printed is settings");
    return;
  }
  for (const SettingRow& row : setting_table()) {
    if (row.secrecy == Secrecy::secret) continue;
    const bool same = row.kind == SettingKind::integer
                          ? again->integer(row.name) == settings.integer(row.name)
                          : again->text(row.name) == settings.text(row.name);
    FUZZ_CHECK(same, "a setting is read as printed");
  }
}

void check_duration(std::string_view text) {
  const auto duration = parse_duration(text);
  if (!duration) return;
  FUZZ_CHECK(duration->us >= 0 && duration->us <= 36'525LL * 86'400 * 1'000'000, "a century");
  FUZZ_CHECK(parse_duration(fmt::format("{}us", duration->us)) == *duration,
             "a duration is read as written");
}

void check_value(FuzzInput& input) {
  const auto table = setting_table();
  const SettingRow& row = table[input.below(table.size())];
  const std::string value(input.rest());
  check_duration(value);
  if (value.find('\0') != std::string::npos || !penstock::net::is_valid_utf8(value)) return;
  const auto settings = Settings::resolve({.flags = {{std::string(row.name), value}}});
  // A secret that was given is not empty; only its default is.
  const bool blank = row.secrecy == Secrecy::secret && value.empty();
  FUZZ_CHECK(settings.has_value() == (!blank && !why_invalid(row, value).has_value()),
             "a value is taken where its row takes it");
  if (!settings) {
    FUZZ_CHECK(!settings.error().empty(), "a refusal is a sentence");
    // A few letters may stand in the sentence by themselves.
    constexpr std::size_t kTelling = 12;
    FUZZ_CHECK(row.secrecy == Secrecy::shown || value.size() < kTelling ||
                   settings.error().find(value) == std::string::npos,
               "a secret is not shown");
    return;
  }
  FUZZ_CHECK(settings->text(row.name) == value, "a value is kept as it came");
  FUZZ_CHECK(settings->source(row.name) == SettingSource::flag, "and so is its source");
  check_printed(*settings);
  check_options(*settings);
}

void check_file(std::string_view text) {
  const MemoryFile file(text);
  auto texts = read_settings_file(file.path());
  if (!texts) {
    FUZZ_CHECK(!texts.error().empty(), "a refusal is a sentence");
    return;
  }
  const auto settings = Settings::resolve({.file = *texts, .file_name = "fuzz"});
  if (settings) check_options(*settings);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzInput input(data, size);
  if (input.byte() == 'v') {
    check_value(input);
  } else {
    check_file(std::string_view(reinterpret_cast<const char*>(data), size));
  }
  return 0;
}
