#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

namespace penstock::simulation {

/// Actions that wait to be run, each in a place that it does not leave until it ran: nothing is
/// moved while others come and go, and an action of up to kRoom bytes costs no allocation. Places
/// are used again. One thread; an action may take others in, run and drop them.
class ActionRoom {
 public:
  using Place = std::uint32_t;

  /// Larger actions are kept elsewhere, at an allocation each.
  static constexpr std::size_t kRoom = 112;

  ActionRoom() = default;
  ActionRoom(const ActionRoom&) = delete;
  ActionRoom& operator=(const ActionRoom&) = delete;
  /// Every action ran or was dropped before.
  ~ActionRoom() = default;

  template <typename Action>
  Place take_in(Action&& action) {
    using Kept = std::decay_t<Action>;
    const Place place = free_place();
    Slot& slot = slot_of(place);
    if constexpr (kFits<Kept>) {
      new (slot.bytes.data()) Kept(std::forward<Action>(action));
    } else {
      new (slot.bytes.data()) Kept*(new Kept(std::forward<Action>(action)));
    }
    slot.act = &act<Kept>;
    return place;
  }

  /// Runs the action and gives its place up, also if it throws.
  void run(Place place) { end(place, Deed::run); }
  /// Gives the place up without running what is in it.
  void drop(Place place) { end(place, Deed::drop); }

 private:
  enum class Deed : std::uint8_t { run, drop };

  struct Slot {
    alignas(std::max_align_t) std::array<std::byte, kRoom> bytes;
    void (*act)(Slot& slot, Deed deed) = nullptr;
    Place next_free = 0;
  };
  static constexpr std::size_t kSlotsABlock = 64;
  using Block = std::array<Slot, kSlotsABlock>;

  template <typename Kept>
  static constexpr bool kFits = sizeof(Kept) <= kRoom && alignof(Kept) <= alignof(std::max_align_t);

  template <typename Kept>
  static void act(Slot& slot, Deed deed) {
    struct End {
      explicit End(Slot& kept_in) {
        if constexpr (kFits<Kept>) {
          action = std::launder(reinterpret_cast<Kept*>(kept_in.bytes.data()));
        } else {
          action = *std::launder(reinterpret_cast<Kept**>(kept_in.bytes.data()));
        }
      }
      End(const End&) = delete;
      End& operator=(const End&) = delete;
      ~End() {
        if constexpr (kFits<Kept>) {
          std::destroy_at(action);
        } else {
          delete action;
        }
      }
      Kept* action = nullptr;
    };
    const End end(slot);
    if (deed == Deed::run) (*end.action)();
  }

  void end(Place place, Deed deed) {
    struct GiveUp {
      ActionRoom& room;
      Place place;
      ~GiveUp() {
        room.slot_of(place).next_free = room.free_;
        room.free_ = place;
      }
    };
    const GiveUp give_up{*this, place};
    Slot& slot = slot_of(place);
    slot.act(slot, deed);
  }

  Slot& slot_of(Place place) { return (*blocks_[place / kSlotsABlock])[place % kSlotsABlock]; }

  Place free_place() {
    if (free_ != kNone) {
      const Place place = free_;
      free_ = slot_of(place).next_free;
      return place;
    }
    if (taken_ % kSlotsABlock == 0) blocks_.push_back(std::make_unique<Block>());
    return taken_++;
  }

  static constexpr Place kNone = UINT32_MAX;

  std::vector<std::unique_ptr<Block>> blocks_;
  Place free_ = kNone;  ///< the places given up, linked by `next_free`
  Place taken_ = 0;     ///< places that were ever used
};

}  // namespace penstock::simulation
