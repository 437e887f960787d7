#include "tools/chaos/schedule.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status_macros.h"

namespace baton::chaos {
namespace {

constexpr size_t kMostRandomFaults = 1000;
constexpr absl::Duration kStartTime = absl::Seconds(1);

// SplitMix64 (Steele, Lea, Flood 2014): the same numbers on every machine.
class Dice {
 public:
  explicit Dice(uint64_t seed) : state_(seed) {}

  double Unit() { return static_cast<double>(Next() >> 11) * 0x1p-53; }  // [0, 1)
  size_t Below(size_t count) { return static_cast<size_t>(Unit() * static_cast<double>(count)); }
  absl::Duration Between(absl::Duration least, absl::Duration most) {
    const int64_t span = absl::ToInt64Milliseconds(most - least);
    return least + absl::Milliseconds(Below(static_cast<size_t>(span) + 1));
  }
  absl::Duration Gap(double per_minute) {
    return absl::Milliseconds(std::llround(-std::log(1 - Unit()) * 60e3 / per_minute));
  }

 private:
  uint64_t Next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  uint64_t state_;
};

double AmountOf(const RandomFaults& random, FaultKind kind) {
  const auto found = random.amounts.find(kind);
  if (found != random.amounts.end()) return found->second;
  switch (kind) {
    case FaultKind::kLoss:
      return 20;
    case FaultKind::kSlowDisk:
      return 100;
    case FaultKind::kExhaustPages:
      return 10;
    default:
      return 0;
  }
}

// When what it struck is well again.
absl::Duration EndOf(const Fault& fault) {
  return fault.at + (Ends(fault.kind) ? fault.restart_after + kStartTime : fault.lasting);
}

std::string ProcessOf(const std::string& target) {
  return target.substr(0, target.find('/'));
}

std::vector<std::string> Candidates(FaultKind kind, const std::vector<std::string>& targets,
                                    const std::vector<std::string>& processes) {
  std::vector<std::string> found;
  for (const std::string& process : processes) {
    const bool meant = std::any_of(targets.begin(), targets.end(), [&](const std::string& target) {
      return target == process || target == RoleOf(process);
    });
    const bool disk = kind == FaultKind::kSlowDisk || kind == FaultKind::kFullDisk;
    const bool has_pages = RoleOf(process) == "decode" || RoleOf(process) == "prefill";
    const bool fits = disk ? process == "kv" : kind != FaultKind::kExhaustPages || has_pages;
    if (meant && fits) found.push_back(process);
  }
  return found;
}

class Drawing {
 public:
  Drawing(const RandomFaults& random, const ClusterShape& cluster, uint64_t seed)
      : random_(random), cluster_(cluster), processes_(ProcessNames(cluster)), dice_(seed) {}

  std::vector<Fault> Draw() {
    absl::Duration at = random_.from;
    while (drawn_.size() < kMostRandomFaults) {
      at = std::max(at + dice_.Gap(random_.per_minute), FirstRoom(at));
      if (at >= random_.until) break;
      if (auto fault = DrawOne(at)) drawn_.push_back(*std::move(fault));
    }
    return std::move(drawn_);
  }

 private:
  // The first time from `at` on when fewer than `together` faults last.
  absl::Duration FirstRoom(absl::Duration at) const {
    std::vector<absl::Duration> ends;
    for (const Fault& fault : drawn_) {
      if (EndOf(fault) > at) ends.push_back(EndOf(fault));
    }
    std::sort(ends.begin(), ends.end());
    const size_t most = static_cast<size_t>(random_.together);
    return ends.size() < most ? at : ends[ends.size() - most];
  }

  std::optional<Fault> DrawOne(absl::Duration at) {
    Fault fault;
    fault.at = at;
    fault.kind = random_.kinds[dice_.Below(random_.kinds.size())];
    fault.amount = AmountOf(random_, fault.kind);
    std::vector<std::string> free = Candidates(fault.kind, random_.targets, processes_);
    std::erase_if(free, [&](const std::string& process) { return IsStruck(process, at); });
    if (free.empty()) return std::nullopt;
    fault.target = free[dice_.Below(free.size())];
    if (Ends(fault.kind)) fault.restart_after = cluster_.restart_after;
    if (Lasts(fault.kind)) fault.lasting = dice_.Between(random_.shortest, random_.longest);
    if (fault.kind == FaultKind::kPartition || fault.kind == FaultKind::kLoss) {
      std::vector<std::string> peers = processes_;
      std::erase_if(peers, [&](const std::string& process) { return process == fault.target; });
      fault.peer = peers[dice_.Below(peers.size())];
    }
    return fault;
  }

  bool IsStruck(const std::string& process, absl::Duration at) const {
    return std::any_of(drawn_.begin(), drawn_.end(), [&](const Fault& fault) {
      return ProcessOf(fault.target) == process && EndOf(fault) > at;
    });
  }

  const RandomFaults& random_;
  const ClusterShape& cluster_;
  std::vector<std::string> processes_;
  Dice dice_;
  std::vector<Fault> drawn_;
};

absl::Status CheckTarget(const Fault& fault, const ClusterShape& cluster,
                         const std::vector<std::string>& processes) {
  const auto known = [&](const std::string& name) {
    return std::find(processes.begin(), processes.end(), name) != processes.end();
  };
  const auto refuse = [&](const std::string& name) {
    return absl::InvalidArgumentError(
        absl::StrCat("the cluster has no process '", name, "'; it has ", absl::StrJoin(processes, ", ")));
  };
  const bool pages = fault.kind == FaultKind::kExhaustPages;
  const std::string process = pages ? ProcessOf(fault.target) : fault.target;
  if (!known(process)) return refuse(process);
  if (!fault.peer.empty() && fault.peer != "all" && !known(fault.peer)) return refuse(fault.peer);
  if (fault.peer == fault.target)
    return absl::InvalidArgumentError("a process cannot be cut off from itself");
  if (pages && process != fault.target) {
    int rank = 0;
    if (!absl::SimpleAtoi(fault.target.substr(process.size() + 1), &rank) || rank < 0 ||
        rank >= cluster.ranks)
      return absl::InvalidArgumentError(
          absl::StrCat("'", fault.target, "': ranks are 0 to ", cluster.ranks - 1));
  }
  const bool disk = fault.kind == FaultKind::kSlowDisk || fault.kind == FaultKind::kFullDisk;
  if (disk && (process != "kv" || cluster.kv_disk_mb == 0))
    return absl::InvalidArgumentError("only kv has a disk, and only with cluster.kv_disk_mb");
  if (pages && RoleOf(process) != "decode" && RoleOf(process) != "prefill")
    return absl::InvalidArgumentError(absl::StrCat(process, " has no pages that requests hold"));
  return absl::OkStatus();
}

absl::Status CheckFault(const Fault& fault, const ClusterShape& cluster,
                        const std::vector<std::string>& processes) {
  BATON_RETURN_IF_ERROR(CheckTarget(fault, cluster, processes));
  if (fault.at < absl::ZeroDuration()) return absl::InvalidArgumentError("it begins before the load");
  if (Lasts(fault.kind) && (fault.lasting <= absl::ZeroDuration() || fault.lasting > absl::Hours(24)))
    return absl::InvalidArgumentError("it must last, at most 24 h (for:)");
  const bool share = fault.kind == FaultKind::kLoss || fault.kind == FaultKind::kExhaustPages;
  if (share && !(fault.amount >= 0 && fault.amount <= 100))
    return absl::InvalidArgumentError("its share must be 0 to 100 %");
  if (fault.kind == FaultKind::kSlowDisk && !(fault.amount > 0 && fault.amount <= 60000))
    return absl::InvalidArgumentError("delay must be over 0 ms and at most a minute");
  return absl::OkStatus();
}

}  // namespace

std::string RoleOf(const std::string& process) {
  return process.substr(0, process.find('-'));
}

std::vector<std::string> ProcessNames(const ClusterShape& cluster) {
  std::vector<std::string> names = {"router"};
  if (cluster.kv_pool_mb > 0) names.push_back("kv");
  for (int i = 0; i < cluster.prefill; ++i) names.push_back(absl::StrCat("prefill-", i));
  for (int i = 0; i < cluster.decode; ++i) names.push_back(absl::StrCat("decode-", i));
  return names;
}

absl::StatusOr<Schedule> MakeSchedule(const FaultSpec& spec, const ClusterShape& cluster, uint64_t seed) {
  Schedule schedule{seed, spec.fixed};
  if (spec.random) {
    for (const FaultKind kind : spec.random->kinds) {
      if (Candidates(kind, spec.random->targets, ProcessNames(cluster)).empty())
        return absl::InvalidArgumentError(absl::StrCat("none of the targets can suffer ", NameOf(kind), ": ",
                                                       absl::StrJoin(spec.random->targets, ", ")));
    }
    const std::vector<Fault> drawn = Drawing(*spec.random, cluster, seed).Draw();
    schedule.faults.insert(schedule.faults.end(), drawn.begin(), drawn.end());
  }
  std::stable_sort(schedule.faults.begin(), schedule.faults.end(),
                   [](const Fault& a, const Fault& b) { return a.at < b.at; });
  BATON_RETURN_IF_ERROR(CheckSchedule(schedule, cluster));
  return schedule;
}

absl::Status CheckSchedule(const Schedule& schedule, const ClusterShape& cluster) {
  const std::vector<std::string> processes = ProcessNames(cluster);
  for (const Fault& fault : schedule.faults) {
    const absl::Status checked = CheckFault(fault, cluster, processes);
    if (!checked.ok())
      return absl::InvalidArgumentError(absl::StrCat(Describe(fault), ": ", checked.message()));
  }
  return absl::OkStatus();
}

}  // namespace baton::chaos
