#include "services/router/policy/fair_queue.h"

#include <algorithm>

namespace baton::router {

// Who would have to give way; nullopt: the newcomer itself.
std::optional<std::vector<AdmissionTicket>> FairQueue::RoomFor(const Level& level,
                                                               const Waiting& newcomer) const {
  struct Left {
    const Flow* flow;
    size_t requests;
    double share;
  };
  std::vector<AdmissionTicket> victims;
  std::vector<Left> left;
  double share = static_cast<double>(newcomer.tokens) / newcomer.flow.weight;
  for (const auto& [id, flow] : level.flows) {
    if (id == newcomer.flow.id) share += flow.Share();
    if (id != newcomer.flow.id) left.push_back({&flow, flow.waiting.size(), flow.Share()});
  }
  uint64_t requests = level.size, tokens = level.tokens;
  while (requests >= bounds_.requests || tokens + newcomer.tokens > bounds_.tokens) {
    const auto heaviest = std::max_element(left.begin(), left.end(),
                                           [](const Left& a, const Left& b) { return a.share < b.share; });
    if (heaviest == left.end() || heaviest->requests == 0 || heaviest->share <= share) return std::nullopt;
    const Waiting& victim = heaviest->flow->waiting[--heaviest->requests];
    heaviest->share -= static_cast<double>(victim.tokens) / heaviest->flow->weight;
    tokens -= victim.tokens;
    --requests;
    victims.push_back(victim.ticket);
  }
  return victims;
}

FairQueue::Flow& FairQueue::FlowOf(Level& level, const FairFlow& flow) {
  Flow& found = level.flows[flow.id];
  if (found.waiting.empty()) found.start = std::max(found.start, level.now);
  found.weight = flow.weight;
  return found;
}

FairQueue::Pushed FairQueue::Push(const Waiting& waiting) {
  Pushed pushed;
  if (bounds_.requests == 0 || waiting.tokens > bounds_.tokens) return pushed;
  Level& level = levels_[waiting.priority];
  auto victims = RoomFor(level, waiting);
  if (!victims) return pushed;
  pushed.displaced = *std::move(victims);
  for (const AdmissionTicket ticket : pushed.displaced) Remove(ticket);
  Flow& flow = FlowOf(level, waiting.flow);
  flow.waiting.push_back(waiting);
  flow.tokens += waiting.tokens;
  level.tokens += waiting.tokens;
  tokens_ += waiting.tokens;
  ++level.size;
  ++size_;
  pushed.queued = true;
  return pushed;
}

void FairQueue::Pass(const Waiting& waiting) {
  const auto level = levels_.try_emplace(waiting.priority).first;
  Flow& flow = FlowOf(level->second, waiting.flow);
  level->second.now = flow.start;
  flow.start += static_cast<double>(waiting.tokens) / flow.weight;
  Forget(level);
}

const std::pair<const uint64_t, FairQueue::Flow>* FairQueue::NextFlow(const Level& level) {
  const std::pair<const uint64_t, Flow>* next = nullptr;
  for (const auto& entry : level.flows) {
    if (entry.second.waiting.empty()) continue;
    if (next == nullptr || entry.second.start < next->second.start) next = &entry;
  }
  return next;
}

const Waiting* FairQueue::Head() const {
  for (const auto& [priority, level] : levels_) {
    if (level.size > 0) return &NextFlow(level)->second.waiting.front();
  }
  return nullptr;
}

Waiting FairQueue::Pop() {
  auto level = levels_.begin();
  while (level->second.size == 0) ++level;
  Flow& flow = level->second.flows.at(NextFlow(level->second)->first);
  const Waiting head = flow.waiting.front();
  level->second.now = flow.start;
  flow.start += static_cast<double>(head.tokens) / flow.weight;
  Took(level->second, flow, flow.waiting.begin());
  Forget(level);
  return head;
}

void FairQueue::Took(Level& level, Flow& flow, std::deque<Waiting>::iterator which) {
  const uint64_t tokens = which->tokens;
  flow.waiting.erase(which);
  flow.tokens -= tokens;
  level.tokens -= tokens;
  tokens_ -= tokens;
  --level.size;
  --size_;
}

// A flow that owes nothing is as good as a new one.
void FairQueue::Forget(Levels::iterator level) {
  auto& flows = level->second.flows;
  for (auto it = flows.begin(); it != flows.end();) {
    const bool owes = !it->second.waiting.empty() || it->second.start > level->second.now;
    it = owes ? std::next(it) : flows.erase(it);
  }
  if (flows.empty()) levels_.erase(level);
}

bool FairQueue::Remove(AdmissionTicket ticket) {
  for (auto& [priority, level] : levels_) {
    for (auto& [id, flow] : level.flows) {
      const auto found = std::find_if(flow.waiting.begin(), flow.waiting.end(),
                                      [&](const Waiting& one) { return one.ticket == ticket; });
      if (found == flow.waiting.end()) continue;
      Took(level, flow, found);
      return true;
    }
  }
  return false;
}

std::vector<AdmissionTicket> FairQueue::Expire(MonoTime now) {
  std::vector<AdmissionTicket> expired;
  for (auto& [priority, level] : levels_) {
    for (auto& [id, flow] : level.flows) {
      for (size_t i = 0; i < flow.waiting.size();) {
        if (flow.waiting[i].deadline > now) {
          ++i;
          continue;
        }
        expired.push_back(flow.waiting[i].ticket);
        Took(level, flow, flow.waiting.begin() + static_cast<std::ptrdiff_t>(i));
      }
    }
  }
  return expired;
}

MonoTime FairQueue::NextDeadline() const {
  MonoTime next = absl::InfiniteFuture();
  for (const auto& [priority, level] : levels_) {
    for (const auto& [id, flow] : level.flows) {
      for (const Waiting& waiting : flow.waiting) next = std::min(next, waiting.deadline);
    }
  }
  return next;
}

uint64_t FairQueue::TokensBefore(const Waiting& newcomer) const {
  uint64_t before = 0;
  for (const auto& [priority, level] : levels_) {
    if (priority < newcomer.priority) break;
    if (priority > newcomer.priority) {
      before += level.tokens;
      continue;
    }
    const auto own = level.flows.find(newcomer.flow.id);
    double start = level.now;
    if (own != level.flows.end()) {
      start = std::max(start, own->second.start) + own->second.Share();
      before += own->second.tokens;
    }
    for (const auto& [id, flow] : level.flows) {
      if (id == newcomer.flow.id) continue;
      double theirs = flow.start;
      for (const Waiting& waiting : flow.waiting) {
        if (theirs > start) break;
        before += waiting.tokens;
        theirs += static_cast<double>(waiting.tokens) / flow.weight;
      }
    }
  }
  return before;
}

}  // namespace baton::router
