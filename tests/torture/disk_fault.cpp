// A library to preload: the process's own writes and syncs of files under one directory fail, once
// or from some call on, or the process is killed in the middle of a write. Every call is told in a
// file, so that a sync that is tried again is seen. Controlled by the environment:
//   DISK_FAULT_UNDER   the directory; nothing else is touched
//   DISK_FAULT_REPORT  where to tell the calls, one a line: number, call, result, path
//   DISK_FAULT_CALL    write, sync or name (rename, unlink, truncate, allocate); empty: count only
//   DISK_FAULT_AT      the first call of that kind that fails, from 1
//   DISK_FAULT_ERRNO   what it fails with; 0: half of a write is done, then the process is killed
//   DISK_FAULT_ARMED   a file: calls count only once it is there; empty: always
//   DISK_FAULT_FOREVER all further calls of that kind fail as well
// Allocates nothing and calls the kernel directly.
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

namespace {

constexpr int kPathBytes = 4096;

enum class Call { write, sync, name };

std::atomic<int> calls_of_kind = 0;
std::atomic<int> calls_of_all = 0;

const char* variable(const char* name) {
  const char* const text = std::getenv(name);
  return text == nullptr ? "" : text;
}

bool is_under(const char* path) {
  const char* const directory = variable("DISK_FAULT_UNDER");
  const std::size_t size = std::strlen(directory);
  return size > 0 && std::strncmp(path, directory, size) == 0;
}

bool path_of(int file, char* path) {
  char link[64];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  const long size = ::syscall(SYS_readlink, link, path, kPathBytes - 1);
  if (size <= 0) return false;
  path[size] = '\0';
  return is_under(path);
}

void tell(const char* call, const char* result, const char* path) {
  char line[kPathBytes + 128];
  const int size =
      std::snprintf(line, sizeof line, "%d %s %s %s\n", ++calls_of_all, call, result, path);
  const long file = ::syscall(SYS_openat, AT_FDCWD, variable("DISK_FAULT_REPORT"),
                              O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) return;
  ::syscall(SYS_write, file, line, static_cast<std::size_t>(size));
  ::syscall(SYS_close, file);
}

/// Whether this call fails; tells it either way.
bool fails(Call kind, const char* call, const char* path) {
  constexpr const char* kKinds[] = {"write", "sync", "name"};
  const bool is_wanted =
      std::strcmp(variable("DISK_FAULT_CALL"), kKinds[static_cast<int>(kind)]) == 0;
  const char* const armed = variable("DISK_FAULT_ARMED");
  const bool is_armed = armed[0] == '\0' || ::syscall(SYS_access, armed, F_OK) == 0;
  if (!is_wanted || !is_armed) {
    tell(call, "done", path);
    return false;
  }
  const int number = ++calls_of_kind;
  const int at = std::atoi(variable("DISK_FAULT_AT"));
  const bool is_hit =
      at > 0 && (number == at || (number > at && variable("DISK_FAULT_FOREVER")[0] != '\0'));
  tell(call, is_hit ? "failed" : "done", path);
  return is_hit;
}

int wanted_error() {
  return std::atoi(variable("DISK_FAULT_ERRNO"));
}

[[noreturn]] void die() {
  ::syscall(SYS_kill, ::syscall(SYS_getpid), SIGKILL);
  while (true) ::syscall(SYS_pause);
}

/// -1 with the wanted error. Where that is death there is nothing to return.
int fail() {
  if (wanted_error() == 0) die();
  errno = wanted_error();
  return -1;
}

}  // namespace

extern "C" {

ssize_t write(int file, const void* data, size_t size) {
  char path[kPathBytes];
  const int saved = errno;
  if (path_of(file, path) && fails(Call::write, "write", path)) {
    if (wanted_error() == 0) ::syscall(SYS_write, file, data, size / 2);
    return fail();
  }
  errno = saved;
  return ::syscall(SYS_write, file, data, size);
}

ssize_t pwrite(int file, const void* data, size_t size, off_t at) {
  char path[kPathBytes];
  if (path_of(file, path) && fails(Call::write, "pwrite", path)) {
    if (wanted_error() == 0) ::syscall(SYS_pwrite64, file, data, size / 2, at);
    return fail();
  }
  return ::syscall(SYS_pwrite64, file, data, size, at);
}

ssize_t pwrite64(int file, const void* data, size_t size, off_t at) {
  return pwrite(file, data, size, at);
}

int fsync(int file) {
  char path[kPathBytes];
  if (path_of(file, path) && fails(Call::sync, "fsync", path)) return fail();
  return static_cast<int>(::syscall(SYS_fsync, file));
}

int fdatasync(int file) {
  char path[kPathBytes];
  if (path_of(file, path) && fails(Call::sync, "fdatasync", path)) return fail();
  return static_cast<int>(::syscall(SYS_fdatasync, file));
}

int rename(const char* from, const char* to) noexcept {
  if (is_under(from) && fails(Call::name, "rename", from)) return fail();
  return static_cast<int>(::syscall(SYS_rename, from, to));
}

int unlink(const char* path) noexcept {
  if (is_under(path) && fails(Call::name, "unlink", path)) return fail();
  return static_cast<int>(::syscall(SYS_unlink, path));
}

int ftruncate(int file, off_t size) noexcept {
  char path[kPathBytes];
  if (path_of(file, path) && fails(Call::name, "ftruncate", path)) return fail();
  return static_cast<int>(::syscall(SYS_ftruncate, file, size));
}

int fallocate(int file, int mode, off_t at, off_t size) {
  char path[kPathBytes];
  if (path_of(file, path) && fails(Call::name, "fallocate", path)) return fail();
  return static_cast<int>(::syscall(SYS_fallocate, file, mode, at, size));
}

}  // extern "C"
