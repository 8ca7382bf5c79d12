#pragma once

#include <functional>
#include <utility>

#include "domain/instant.h"
#include "simulation/timeline.h"

namespace penstock::simulation {

/// A client's end of a connection. If it is destroyed before the answer came (the process ended),
/// `cut_off` runs a moment later, in virtual time.
class Connected {
 public:
  using CutOff = std::move_only_function<void()>;

  Connected(Timeline& timeline, CutOff cut_off)
      : timeline_(&timeline), cut_off_(std::move(cut_off)) {}
  Connected(Connected&& other) noexcept
      : timeline_(other.timeline_), cut_off_(std::exchange(other.cut_off_, nullptr)) {}
  Connected(const Connected&) = delete;
  Connected& operator=(const Connected&) = delete;
  Connected& operator=(Connected&&) = delete;
  ~Connected() {
    if (cut_off_) timeline_->after(kNoticedAfter, std::move(cut_off_));
  }

  void answered() { cut_off_ = nullptr; }

 private:
  static constexpr domain::Duration kNoticedAfter{200};

  Timeline* timeline_;
  CutOff cut_off_;
};

}  // namespace penstock::simulation
