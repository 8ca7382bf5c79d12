// Runs a fuzzer without libFuzzer: every file of its corpus, then a bounded number of mutations of
// them that follow from the seed alone. So the plain test run needs no second compiler, and a
// failure is the same on every machine. What a failing run was given is kept in a file.
//
//   <fuzzer> [-runs=N] [-seed=N] [-max_len=N] [-dict=FILE] [-artifact_prefix=PATH] CORPUS...
//
// The kept input is PATHcrash-<fuzzer>; without a PATH it lies beside the program.
// A file in place of a corpus folder is run alone: that is how a kept input is looked at.

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include "tests/fuzz/fuzz_input.h"

/// Provided by the sanitizers where one is linked: they end the process in their own way.
extern "C" void __sanitizer_set_death_callback(void (*callback)()) __attribute__((weak));

namespace {

using penstock::fuzz::DerivedChoice;

struct Options {
  std::uint64_t runs = 10'000;
  std::uint64_t seed = 1;
  std::uint64_t max_len = 4'096;
  std::string dictionary{};
  std::optional<std::string> artifact_prefix{};
  std::vector<std::string> corpora{};
};

/// The input that is being run, for the handlers: they may touch nothing else.
const std::string* running = nullptr;
std::string kept_name;

void keep_input() {
  if (running == nullptr) return;
  const int file = ::open(kept_name.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) return;
  const bool whole = ::write(file, running->data(), running->size()) >= 0;
  ::close(file);
  if (whole) {
    constexpr std::string_view kSaid = "the input was kept in ";
    for (const std::string_view part : {kSaid, std::string_view(kept_name), std::string_view("\n")})
      if (::write(STDERR_FILENO, part.data(), part.size()) < 0) return;
  }
}

void on_signal(int number) {
  keep_input();
  std::signal(number, SIG_DFL);
  std::raise(number);
}

void run_one(const std::string& input) {
  running = &input;
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
  running = nullptr;
}

std::optional<std::string> read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

/// The words of a libFuzzer dictionary: a line is [name=]"text", with \", \\ and \xAB.
std::vector<std::string> read_dictionary(const std::string& path) {
  std::vector<std::string> words;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const std::size_t begin = line.find('"');
    const std::size_t end = line.rfind('"');
    if (line.starts_with('#') || begin == std::string::npos || begin == end) continue;
    std::string word;
    for (std::size_t at = begin + 1; at < end; ++at) {
      if (line[at] != '\\' || at + 1 >= end) {
        word += line[at];
      } else if (line[at + 1] == 'x' && at + 3 < end) {
        unsigned value = 0;
        std::from_chars(line.data() + at + 2, line.data() + at + 4, value, 16);
        word += static_cast<char>(value);
        at += 3;
      } else {
        word += line[++at];
      }
    }
    words.push_back(std::move(word));
  }
  return words;
}

class Mutator {
 public:
  Mutator(const std::vector<std::string>& corpus, const std::vector<std::string>& words,
          const Options& options)
      : corpus_(corpus),
        words_(words),
        max_len_(options.max_len),
        choice_(std::to_string(options.seed)) {}

  std::string next() {
    std::string input = corpus_[choice_.below(corpus_.size())];
    const std::uint64_t changes = 1 + choice_.below(5);
    for (std::uint64_t i = 0; i < changes; ++i) change(input);
    if (input.size() > max_len_) input.resize(max_len_);
    return input;
  }

 private:
  std::size_t place(const std::string& input) { return choice_.below(input.size() + 1); }

  void change(std::string& input) {
    const std::size_t at = place(input);
    if (input.empty()) {
      input += static_cast<char>(choice_.next());
      return;
    }
    const std::size_t inside = std::min(at, input.size() - 1);
    switch (choice_.below(9)) {
      case 0:
        input[inside] = static_cast<char>(input[inside] ^ (1U << choice_.below(8)));
        return;
      case 1:
        input[inside] = static_cast<char>(choice_.next());
        return;
      case 2:
        input.insert(at, 1 + choice_.below(3), static_cast<char>(choice_.next()));
        return;
      case 3:
        input.erase(inside, 1 + choice_.below(std::min<std::size_t>(8, input.size())));
        return;
      case 4:  // a stretch again, elsewhere
        input.insert(at, input.substr(place(input), 1 + choice_.below(32)));
        return;
      case 5:  // a stretch of another input
        splice(input, at);
        return;
      case 6:
        change_number(input, inside);
        return;
      case 7:
        input.resize(at);
        return;
      default:
        if (!words_.empty()) input.insert(at, words_[choice_.below(words_.size())]);
        return;
    }
  }

  void splice(std::string& input, std::size_t at) {
    const std::string& other = corpus_[choice_.below(corpus_.size())];
    const std::size_t from = choice_.below(other.size() + 1);
    input.insert(at, other.substr(from, 1 + choice_.below(64)));
  }

  /// Replaces the run of digits at or behind `at` by a number where readers tend to err.
  void change_number(std::string& input, std::size_t at) {
    constexpr std::array<std::string_view, 14> kNumbers = {"0",
                                                           "-1",
                                                           "1",
                                                           "00",
                                                           "255",
                                                           "256",
                                                           "65535",
                                                           "65536",
                                                           "4294967296",
                                                           "9223372036854775807",
                                                           "9223372036854775808",
                                                           "18446744073709551616",
                                                           "1e9",
                                                           "0.1"};
    const std::size_t begin = input.find_first_of("0123456789", at);
    if (begin == std::string::npos) return;
    const std::size_t end = std::min(input.find_first_not_of("0123456789", begin), input.size());
    input.replace(begin, end - begin, kNumbers[choice_.below(kNumbers.size())]);
  }

  const std::vector<std::string>& corpus_;
  const std::vector<std::string>& words_;
  std::uint64_t max_len_;
  DerivedChoice choice_;
};

bool read_number(std::string_view argument, std::string_view name, std::uint64_t& value) {
  if (!argument.starts_with(name)) return false;
  argument.remove_prefix(name.size());
  const char* const end = argument.data() + argument.size();
  const auto [stop, error] = std::from_chars(argument.data(), end, value);
  return error == std::errc() && stop == end;
}

std::optional<Options> read_options(const std::vector<std::string>& arguments) {
  Options options;
  for (const std::string& argument : arguments) {
    constexpr std::string_view kDictionary = "-dict=";
    constexpr std::string_view kArtifactPrefix = "-artifact_prefix=";
    if (argument.starts_with(kDictionary)) {
      options.dictionary = argument.substr(kDictionary.size());
    } else if (argument.starts_with(kArtifactPrefix)) {
      options.artifact_prefix = argument.substr(kArtifactPrefix.size());
    } else if (!argument.starts_with('-')) {
      options.corpora.push_back(argument);
    } else if (!read_number(argument, "-runs=", options.runs) &&
               !read_number(argument, "-seed=", options.seed) &&
               !read_number(argument, "-max_len=", options.max_len)) {
      return std::nullopt;
    }
  }
  return options;
}

std::optional<std::vector<std::string>> read_corpora(const std::vector<std::string>& paths) {
  std::vector<std::filesystem::path> files;
  for (const std::string& path : paths) {
    if (!std::filesystem::is_directory(path)) {
      files.emplace_back(path);
      continue;
    }
    for (const auto& entry : std::filesystem::directory_iterator(path)) files.push_back(entry);
  }
  std::sort(files.begin(), files.end());
  std::vector<std::string> inputs;
  for (const std::filesystem::path& path : files) {
    auto input = read_file(path);
    if (!input) {
      std::fprintf(stderr, "%s cannot be read\n", path.c_str());
      return std::nullopt;
    }
    inputs.push_back(std::move(*input));
  }
  return inputs;
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = read_options({argv + 1, argv + argc});
  if (!options || options->corpora.empty()) {
    std::fprintf(stderr,
                 "usage: %s [-runs=N] [-seed=N] [-max_len=N] [-dict=FILE] [-artifact_prefix=PATH] "
                 "CORPUS...\n",
                 argv[0]);
    return 2;
  }
  const std::filesystem::path program(argv[0]);
  const std::string beside = (program.parent_path() / "").string();
  kept_name = options->artifact_prefix.value_or(beside) + "crash-" + program.filename().string();
  for (const int number : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) {
    // A sanitizer reports these better, and calls back before the end.
    if (__sanitizer_set_death_callback == nullptr || number == SIGABRT) {
      std::signal(number, on_signal);
    }
  }
  if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(keep_input);

  const auto corpus = read_corpora(options->corpora);
  if (!corpus || corpus->empty()) {
    std::fprintf(stderr, "an empty corpus\n");
    return 2;
  }
  for (const std::string& input : *corpus) run_one(input);
  const std::vector<std::string> words = read_dictionary(options->dictionary);
  Mutator mutator(*corpus, words, *options);
  for (std::uint64_t i = 0; i < options->runs; ++i) run_one(mutator.next());
  std::printf("%zu inputs, %llu mutations of seed %llu\n", corpus->size(),
              static_cast<unsigned long long>(options->runs),
              static_cast<unsigned long long>(options->seed));
  return 0;
}
