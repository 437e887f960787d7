#pragma once

// Brings a world's fault plan about: at drawn times until the plan's end, when everything heals (but for
// workers that died for good).

#include <memory>
#include <vector>

#include "tests/sim/context.h"
#include "tests/sim/sim_router.h"
#include "tests/sim/sim_worker.h"

namespace baton::sim {

class Faults {
 public:
  // `on_router_paused` is told when a router stops for so long that its clients may leave it.
  Faults(const Context& context, Prng prng, std::vector<std::unique_ptr<SimWorker>>* workers,
         std::vector<std::unique_ptr<SimRouter>>* routers, std::function<void(int router)> on_router_paused);

  void Schedule();
  bool healed() const { return healed_; }

 private:
  void Sometime(int times, void (Faults::*fault)());
  void CrashWorker();
  void KillWorker();
  void PauseWorker();
  void Partition();
  void BreakCall();
  void DisturbRouter();
  void DrainWorker();
  void FlipRole();
  void MoveStream();
  void Heal();
  void ReviveLater(SimWorker* worker, absl::Duration after);
  SimWorker* AnyWorker();
  void Note(const char* fault, const std::string& whom);

  const Context& context_;
  Prng prng_;
  std::vector<std::unique_ptr<SimWorker>>* const workers_;
  std::vector<std::unique_ptr<SimRouter>>* const routers_;
  const std::function<void(int)> on_router_paused_;
  bool healed_ = false;
};

}  // namespace baton::sim
