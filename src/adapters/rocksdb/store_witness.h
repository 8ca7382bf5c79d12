#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <rocksdb/env.h>

#include "adapters/rocksdb/rocks_store_options.h"

/// The witness: a small file beside the store's directory, `DIR.witness`, that says what the store
/// has to have. RocksDB takes a write-ahead log that is not there for one that never was, and an
/// older manifest for the newest (its issues 10080 and 12488), so that a lost file is a shorter
/// history and no error. The witness is written, synced, before anything is acknowledged that only
/// a new log or a new manifest holds, and once more at a clean end.
///
///   penstock witness 1
///   identity <text>              of the database
///   sequence <number>            of the last write that was synced
///   manifest <number> <bytes>    the one that CURRENT named, with its least size
///   log <number> <bytes>         each write-ahead log, with its least size
///   file <bytes> <name>          each companion: a file beside the store that belongs to it
///   crc <CRC-32C in hexadecimal over the lines above>
///
/// Everything in it is a lower bound: a store that went on after it has more. A log that the
/// manifest says is flushed may be gone.
namespace penstock::rocksdb_store {

struct Witness {
  std::string identity;
  std::uint64_t sequence = 0;
  std::uint64_t manifest = 0;
  std::uint64_t manifest_bytes = 0;
  std::map<std::uint64_t, std::uint64_t> logs;      ///< number -> least size in bytes
  std::map<std::string, std::uint64_t> companions;  ///< file name -> least size in bytes

  bool operator==(const Witness&) const = default;
};

/// "DIR.witness" for the store's directory `path`, or "DIR/WITNESS" where the directory above may
/// not be written by this process: then a store that is emptied as a whole goes unnoticed.
std::string witness_path(const std::string& path);

/// The witness of the store at `path`; nothing where there is none. Fails with store_corrupt where
/// it is damaged, and store_failed where it cannot be read.
std::expected<std::optional<Witness>, OpenError> read_witness(rocksdb::Env& env,
                                                              const std::string& path);

/// Replaces the witness of the store at `path`, durably: what is there is the old one or the new.
rocksdb::Status write_witness(rocksdb::Env& env, const std::string& path, const Witness& witness);

/// Compares what is in the directory `path` with its witness, before RocksDB opens it. Reads only.
/// Fails with store_incomplete: the detail names what is missing or too short. `last_sequence` is
/// that of the last intact write in the manifest and the logs.
std::expected<void, OpenError> check_witness(rocksdb::Env& env, const std::string& path,
                                             const Witness& witness, std::uint64_t last_sequence);

/// The sizes by file name of those of `companions`, paths of append-only files, that are there.
std::map<std::string, std::uint64_t> sizes_of(const std::vector<std::string>& companions);

/// Compares the companions with the witness: store_incomplete where one that it names is missing or
/// too short. Without a witness and without a store, one that is not empty is of a store that is
/// gone.
std::expected<void, OpenError> check_companions(const std::string& path,
                                                const std::optional<Witness>& witness,
                                                bool has_store,
                                                const std::vector<std::string>& companions);

/// That there was a store, and now there is none: store_incomplete.
OpenError store_is_gone(const std::string& path);

}  // namespace penstock::rocksdb_store
