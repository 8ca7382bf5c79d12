#include "main/settings.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "adapters/system/system_random.h"
#include "main/serve_options.h"
#include "main/settings_file.h"

namespace penstock::main {
namespace {

SettingSources environment_of(SettingTexts variables) {
  return {.environment = [variables = std::move(variables)](
                             const std::string& name) -> std::optional<std::string> {
    auto const at = variables.find(name);
    if (at == variables.end()) return std::nullopt;
    return at->second;
  }};
}

std::expected<ServeOptions, std::string> options_of(SettingTexts flags, SettingTexts variables = {},
                                                    Role role = Role::server) {
  SettingSources sources = environment_of(std::move(variables));
  sources.flags = std::move(flags);
  auto const settings = Settings::resolve(sources);
  if (!settings) return std::unexpected(settings.error());
  return serve_options(*settings, role);
}

TEST(Settings, a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default) {
  SettingSources sources = environment_of({});
  EXPECT_EQ(Settings::resolve(sources)->integer("drain-seconds"), 30);
  sources.file = {{"drain-seconds", "1"}};
  EXPECT_EQ(Settings::resolve(sources)->source("drain-seconds"), SettingSource::file);
  EXPECT_EQ(Settings::resolve(sources)->integer("drain-seconds"), 1);
  sources.environment = environment_of({{"PENSTOCK_DRAIN_SECONDS", "2"}}).environment;
  EXPECT_EQ(Settings::resolve(sources)->source("drain-seconds"), SettingSource::environment);
  EXPECT_EQ(Settings::resolve(sources)->integer("drain-seconds"), 2);
  sources.flags = {{"drain-seconds", "3"}};
  EXPECT_EQ(Settings::resolve(sources)->source("drain-seconds"), SettingSource::flag);
  EXPECT_EQ(Settings::resolve(sources)->integer("drain-seconds"), 3);
}

TEST(Settings, every_default_is_a_value_of_its_row) {
  for (const SettingRow& row : setting_table()) {
    EXPECT_FALSE(why_invalid(row, row.standard)) << row.name;
    EXPECT_FALSE(row.help.empty()) << row.name;
  }
  EXPECT_TRUE(options_of({}).has_value());
}

TEST(Settings, an_unknown_key_in_the_file_is_refused_by_its_name) {
  SettingSources const sources{.file = {{"drian-seconds", "3"}}, .file_name = "p.toml"};
  auto const settings = Settings::resolve(sources);
  ASSERT_FALSE(settings);
  EXPECT_EQ(settings.error(), "p.toml: unknown setting drian-seconds; did you mean drain-seconds?");
}

TEST(Settings, a_bad_value_is_refused_with_its_origin_and_what_is_needed) {
  struct Case {
    const char* name;
    const char* value;
  };
  for (auto const& [name, value] :
       {Case{"drain-seconds", "-1"}, Case{"drain-seconds", "3s"}, Case{"drain-seconds", ""},
        Case{"drain-seconds", "99999999999999999999"}, Case{"max-active", "0"},
        Case{"default-rate", "0"}, Case{"default-rate", "2000000"}, Case{"default-rate", "x"},
        Case{"default-burst", "1.5"}, Case{"demo-catalog", "yes"}, Case{"log-level", "loud"},
        Case{"log-level", ""}, Case{"log-level", "debug|info"}, Case{"dead-letter-hold", "1w"},
        Case{"gateway-timeout", "0"}, Case{"retry-base", "-1s"}, Case{"http-threads", "65"}}) {
    auto const options = options_of({{name, value}});
    ASSERT_FALSE(options) << name << "=" << value;
    EXPECT_TRUE(options.error().starts_with(std::string("flag --") + name)) << options.error();
  }
}

TEST(Settings, a_bad_secret_or_a_printed_one_is_never_shown) {
  SettingSources sources =
      environment_of({{"PENSTOCK_ADMIN_KEY", "swordfish-swordfish-swordfish"}});
  auto const settings = Settings::resolve(sources);
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->print().find("swordfish"), std::string::npos);
  EXPECT_NE(settings->print().find("admin-key = \"********\"  # environment PENSTOCK_ADMIN_KEY"),
            std::string::npos);
}

TEST(Settings, an_admin_key_is_long_and_of_plain_letters) {
  for (const std::string& key :
       {std::string("short"), std::string(23, 'k'), std::string(513, 'k'),
        std::string(24, 'k') + "\n", std::string(24, 'k') + " x", std::string(24, 'k') + "\xe9",
        std::string("********"), std::string(24, '*')}) {
    auto const settings = Settings::resolve(environment_of({{"PENSTOCK_ADMIN_KEY", key}}));
    ASSERT_FALSE(settings) << key;
    EXPECT_TRUE(settings.error().starts_with("environment PENSTOCK_ADMIN_KEY")) << settings.error();
    EXPECT_EQ(settings.error().find(std::string(20, 'k')), std::string::npos);
  }
  EXPECT_TRUE(Settings::resolve(environment_of({{"PENSTOCK_ADMIN_KEY", std::string(24, 'k')}})));
  EXPECT_FALSE(Settings::resolve({.file = {{"admin-key", ""}}}));
}

TEST(Settings, a_variable_that_is_set_and_empty_is_refused) {
  for (const SettingRow& row : setting_table()) {
    auto const settings = Settings::resolve(environment_of({{environment_name(row), ""}}));
    ASSERT_FALSE(settings) << row.name;
    EXPECT_EQ(settings.error(), "environment " + environment_name(row) +
                                    ": is set and empty; unset it, or give it a value");
  }
}

TEST(Settings, an_unknown_variable_is_refused_with_the_nearest_name) {
  auto const why = [](const std::string& name) {
    return why_unknown_variable(std::vector<std::string>{"PATH", "PENSTOCK_DATA", name});
  };
  EXPECT_EQ(why("PENSTOCK_ADMINKEY"),
            "environment PENSTOCK_ADMINKEY: there is no such setting; did you mean "
            "PENSTOCK_ADMIN_KEY?");
  EXPECT_EQ(why("PENSTOCK_XYZZY"), "environment PENSTOCK_XYZZY: there is no such setting");
  for (const char* name : {"PENSTOCK", "PENSTOCK_STORE", "MY_PENSTOCK_X", "PENSTOCK_PORT",
                           "PENSTOCK_SERVICE_HOST", "PENSTOCK_SERVICE_PORT_HTTP",
                           "PENSTOCK_WEB_SERVICE_HOST", "PENSTOCK_PORT_9000_TCP_PROTO"}) {
    EXPECT_FALSE(why(name)) << name;
  }
  // Nothing that is a setting is taken for a service's.
  for (const SettingRow& row : setting_table()) {
    EXPECT_TRUE(why(environment_name(row) + "X")) << row.name;
  }
}

TEST(Settings, a_mask_that_is_read_back_is_refused) {
  for (const SettingRow& row : setting_table()) {
    if (row.secrecy == Secrecy::shown) continue;
    auto const options = options_of({{std::string(row.name), "postgres://********@h/********"}});
    ASSERT_FALSE(options) << row.name;
    EXPECT_NE(options.error().find("in place of the value"), std::string::npos) << options.error();
  }
}

TEST(Settings, durations_are_read_with_their_units) {
  EXPECT_EQ(parse_duration("250us")->us, 250);
  EXPECT_EQ(parse_duration("250ms")->us, 250'000);
  EXPECT_EQ(parse_duration("30")->us, 30'000'000);
  EXPECT_EQ(parse_duration("30s")->us, 30'000'000);
  EXPECT_EQ(parse_duration("2m")->us, 120'000'000);
  EXPECT_EQ(parse_duration("24h"), domain::Duration::hours(24));
  EXPECT_EQ(parse_duration("7d"), domain::Duration::hours(168));
  for (const char* text : {"", "s", "-1s", "1.5s", "1 s", "1w", "9999999999999d", "1ss"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
}

TEST(ServeOptions, without_a_key_only_loopback_is_served) {
  EXPECT_FALSE(options_of({{"listen", "0.0.0.0:9000"}}));
  EXPECT_FALSE(options_of({{"listen", "[::]:9000"}}));
  EXPECT_TRUE(
      options_of({{"listen", "0.0.0.0:9000"}}, {{"PENSTOCK_ADMIN_KEY", std::string(24, 'k')}}));
  EXPECT_TRUE(options_of({{"listen", "127.9.9.9:0"}}));
  EXPECT_TRUE(options_of({{"listen", "[::1]:9000"}}));
  EXPECT_EQ(options_of({{"listen", "localhost:9000"}})->listen->address, "127.0.0.1");
}

TEST(ServeOptions, an_address_that_is_none_is_refused) {
  for (const char* text : {"9000", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:x",
                           "::1:9000", "[127.0.0.1]:9000", "host.example:9000", ":9000", ""}) {
    EXPECT_FALSE(parse_listen_address(text)) << text;
  }
  EXPECT_EQ(parse_listen_address("[::1]:80")->str(), "[::1]:80");
}

TEST(ServeOptions, the_store_is_rocksdb_in_the_data_directory_unless_told_otherwise) {
  EXPECT_EQ(std::get<RocksStore>(options_of({{"data", "d"}})->store).directory, "d/store");
  EXPECT_EQ(std::get<RocksStore>(options_of({{"store", "rocksdb:x/y"}})->store).directory, "x/y");
  EXPECT_TRUE(std::holds_alternative<MemoryOnly>(options_of({{"store", "memory:"}})->store));
  for (const char* url : {"postgres://h/db", "postgresql:///db?host=/run"}) {
    EXPECT_EQ(std::get<SharedDatabase>(options_of({{"store", url}})->store).url, url);
  }
  auto const aws = options_of({{"store", "aws:"}});
  ASSERT_FALSE(aws);
  EXPECT_NE(aws.error().find("not in this build"), std::string::npos);
  EXPECT_FALSE(options_of({{"store", "rocksdb:"}}));
  EXPECT_FALSE(options_of({{"store", "sqlite:x"}}));
}

TEST(ServeOptions, the_gateway_is_the_sandbox_or_a_url) {
  EXPECT_EQ(std::get<SandboxInProcess>(options_of({{"data", "d"}})->gateway).ledger_path,
            "d/sandbox-ledger.jsonl");
  EXPECT_EQ(std::get<GatewayUrl>(options_of({{"gateway", "http://h:1"}})->gateway).url,
            "http://h:1");
  EXPECT_FALSE(options_of({{"gateway", "ftp://h"}}));
  EXPECT_FALSE(options_of({{"fulfiller-hook", "nonsense"}}));
  EXPECT_FALSE(options_of({{"retry-base", "2m"}}));
}

TEST(ServeOptions, a_node_has_a_name_of_its_own_that_stays) {
  EXPECT_EQ(options_of({{"node", "shop-1.a_B"}})->node, "shop-1.a_B");
  auto const first = options_of({{"listen", "127.0.0.1:1"}})->node;
  EXPECT_EQ(options_of({{"listen", "127.0.0.1:1"}})->node, first);
  EXPECT_NE(options_of({{"listen", "127.0.0.1:2"}})->node, first);
  EXPECT_LE(first.size(), 40U);
  for (const std::string& name : {std::string("a b"), std::string("a/b"), std::string(41, 'a')}) {
    EXPECT_FALSE(options_of({{"node", name}})) << name;
  }
}

TEST(ServeOptions, stages_are_split_on_a_shared_database_alone) {
  const char* const url = "postgres://h/db";
  auto const some = options_of({{"store", url}, {"stages", "ingest,inventory"}});
  ASSERT_TRUE(some) << some.error();
  EXPECT_EQ(to_string(some->stages), "ingest,inventory");
  EXPECT_TRUE(std::holds_alternative<NoGateway>(some->gateway)) << "nobody charges here";
  EXPECT_EQ(to_string(options_of({})->stages), "ingest,inventory,payment,fulfillment,notification");
  EXPECT_FALSE(options_of({{"stages", "ingest"}}));
  for (const char* text : {"", "ingest,", ",ingest", "ingest payment", "everything"}) {
    EXPECT_FALSE(options_of({{"store", url}, {"stages", text}})) << text;
  }
}

TEST(ServeOptions, a_worker_runs_stages_of_a_shared_database_and_listens_only_where_told) {
  SettingTexts const right{
      {"store", "postgres://h/db"}, {"stages", "payment"}, {"gateway", "http://g:1"}};
  auto const worker_with = [&right](const std::string& name, const std::string& value) {
    SettingTexts texts = right;
    texts[name] = value;
    return options_of(texts, {}, Role::worker);
  };
  auto const worker = options_of(right, {}, Role::worker);
  ASSERT_TRUE(worker) << worker.error();
  EXPECT_FALSE(worker->listen);
  EXPECT_TRUE(worker->node.ends_with("-payment"));
  EXPECT_EQ(worker_with("listen", "127.0.0.1:1")->listen->port, 1);
  EXPECT_NE(worker_with("gateway", "sandbox").error().find("--gateway URL"), std::string::npos);
  EXPECT_TRUE(worker_with("stages", "inventory,notification"));
  EXPECT_NE(worker_with("stages", "ingest").error().find("penstock serve"), std::string::npos);
  for (const char* store : {"", "memory:", "rocksdb:d"}) EXPECT_FALSE(worker_with("store", store));
}

TEST(Settings, a_password_in_the_stores_url_is_not_shown) {
  for (const char* url : {"postgres://u:hidden@h:5432/db", "postgres:///db?password=hidden&x=1",
                          "postgres://h/db?x=1&password=hidden"}) {
    auto const shown = Settings::resolve({.flags = {{"store", url}}})->print();
    EXPECT_EQ(shown.find("hidden"), std::string::npos) << shown;
    EXPECT_NE(shown.find("********"), std::string::npos) << shown;
  }
  auto const plain = Settings::resolve({.flags = {{"store", "postgres://h:5432/db"}}})->print();
  EXPECT_NE(plain.find("store = \"postgres://h:5432/db\""), std::string::npos) << plain;
}

class SettingsFile : public testing::Test {
 protected:
  SettingsFile() {
    system::SystemRandom random;
    path_ = std::filesystem::temp_directory_path() /
            ("settings-" + std::to_string(random.next()) + ".toml");
  }
  ~SettingsFile() override { std::filesystem::remove(path_); }

  std::expected<SettingTexts, std::string> read(const std::string& text) const {
    std::ofstream(path_) << text;
    return read_settings_file(path_.string());
  }

  std::filesystem::path path_;
};

TEST_F(SettingsFile, strings_numbers_and_booleans_become_setting_texts) {
  auto const texts = read(
      "listen = \"127.0.0.1:1\"  # here\ndrain-seconds = 5\n"
      "default-rate = 2.5\ndemo-catalog = true\n");
  ASSERT_TRUE(texts) << texts.error();
  EXPECT_EQ(*texts, (SettingTexts{{"listen", "127.0.0.1:1"},
                                  {"drain-seconds", "5"},
                                  {"default-rate", "2.5"},
                                  {"demo-catalog", "true"}}));
}

TEST_F(SettingsFile, what_is_no_toml_or_no_setting_is_refused_with_the_files_name) {
  for (const char* text :
       {"listen = ", "a = [1]", "[serve]\nlisten = \"x\"", "\xff\xfe", "data = 'a\xff'"}) {
    auto const texts = read(text);
    ASSERT_FALSE(texts) << text;
    EXPECT_NE(texts.error().find(path_.string()), std::string::npos) << texts.error();
  }
  EXPECT_FALSE(read_settings_file("/nowhere/at/all.toml"));
}

TEST_F(SettingsFile, what_is_no_toml_is_refused_without_its_text) {
  for (const char* text : {"admin-key = \"CANARY", "admin-key = \"CANARY\" x",
                           "admin-key = \"CANARY\"\nadmin-key = \"CANARY\""}) {
    auto const texts = read(text);
    ASSERT_FALSE(texts) << text;
    EXPECT_EQ(texts.error().find("CANARY"), std::string::npos) << texts.error();
    EXPECT_NE(texts.error().find("line "), std::string::npos) << texts.error();
  }
}

TEST_F(SettingsFile, what_is_no_file_is_refused) {
  EXPECT_NE(read_settings_file("/").error().find("it is a directory"), std::string::npos);
  EXPECT_NE(read_settings_file("/dev/zero").error().find("longer than"), std::string::npos);
}

TEST_F(SettingsFile, what_print_shows_is_read_back_as_the_same_settings) {
  SettingSources sources;
  sources.flags = {{"data", "a \"b\"\\c"}, {"drain-seconds", "7"}, {"demo-catalog", "true"}};
  auto const settings = Settings::resolve(sources);
  ASSERT_TRUE(settings);
  auto const texts = read(settings->print());
  ASSERT_TRUE(texts) << texts.error();
  auto const again = Settings::resolve({.file = *texts});
  ASSERT_TRUE(again) << again.error();
  for (const SettingRow& row : setting_table()) {
    EXPECT_EQ(again->text(row.name), settings->text(row.name)) << row.name;
  }
}

TEST_F(SettingsFile, a_number_with_leading_zeros_is_printed_so_that_toml_takes_it) {
  const auto settings = Settings::resolve({.flags = {{"default-burst", "0200"}}});
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->integer("default-burst"), 200);
  EXPECT_NE(settings->print().find("default-burst = 200 "), std::string::npos);
}

TEST(ConfigurationDocument, names_every_setting_with_its_default) {
  std::ostringstream text;
  text << std::ifstream(PENSTOCK_SOURCE_DIRECTORY "/docs/configuration.md").rdbuf();
  for (const SettingRow& row : setting_table()) {
    std::string const line = "| `" + std::string(row.name) + "` | " +
                             (row.standard.empty() ? "" : "`" + std::string(row.standard) + "`");
    EXPECT_NE(text.str().find(line), std::string::npos) << line;
  }
}

}  // namespace
}  // namespace penstock::main
