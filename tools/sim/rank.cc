#include "tools/sim/rank.h"

#include <algorithm>

namespace baton::simulator {

SimRank::SimRank(const StepCurve& curve, double step_tokens, uint32_t page_tokens)
    : curve_(curve),
      step_tokens_(step_tokens),
      page_tokens_(page_tokens),
      pool_(static_cast<uint64_t>(curve.kv_tokens) / page_tokens) {}

void SimRank::Enqueue(const Job& job) {
  queue_.push_back({.job = job, .target = job.prompt});
}

bool SimRank::TakePages(Sequence* sequence) {
  // One token at least must be computed.
  const uint32_t most_shared = (sequence->target - 1) / page_tokens_;
  if (!pool_.Take(sequence->job.chain, PagesFor(sequence->target + 1), most_shared, &sequence->hold))
    return false;
  sequence->placed = true;
  sequence->cached = sequence->computed = sequence->hold.shared * page_tokens_;
  return true;
}

bool SimRank::Reserve(const Job& job) {
  Sequence sequence{.job = job, .target = job.prompt};
  if (!TakePages(&sequence)) return false;
  return reserved_.emplace(job.request, std::move(sequence)).second;
}

uint32_t SimRank::ReservedCached(uint32_t request) const {
  const auto it = reserved_.find(request);
  return it == reserved_.end() ? 0 : it->second.cached;
}

void SimRank::KvArrived(uint32_t request) {
  auto node = reserved_.extract(request);
  if (node.empty()) return;
  Sequence& sequence = node.mapped();
  sequence.computed = sequence.target;
  sequence.generated = 1;
  pool_.Publish(sequence.job.chain, sequence.job.prompt / page_tokens_, &sequence.hold);
  running_.push_back(std::move(sequence));
}

void SimRank::HandedOff(uint32_t request) {
  auto node = handing_off_.extract(request);
  if (!node.empty()) pool_.Release(node.mapped().job.chain, &node.mapped().hold);
}

void SimRank::Drop(uint32_t request) {
  HandedOff(request);
  if (auto node = reserved_.extract(request); !node.empty())
    pool_.Release(node.mapped().job.chain, &node.mapped().hold);
}

uint64_t SimRank::backlog_tokens() const {
  uint64_t tokens = 0;
  for (const Sequence& sequence : queue_) tokens += sequence.target - sequence.computed;
  return tokens;
}

uint64_t SimRank::context_tokens() const {
  uint64_t tokens = 0;
  for (const Sequence& sequence : running_) tokens += sequence.job.prompt + sequence.generated;
  return tokens;
}

void SimRank::PlanPrompts(double budget, StepWork* work) {
  size_t begun = running_.size();
  for (Sequence& sequence : queue_) {
    if (budget < 1 || (!sequence.job.hands_off && ++begun > curve_.max_running)) break;
    if (!sequence.placed && !TakePages(&sequence)) break;  // in order: none overtakes
    const uint32_t tokens = std::min<uint32_t>(sequence.target - sequence.computed, uint32_t(budget));
    planned_.emplace_back(sequence.job.request, tokens);
    budget -= tokens;
    work->tokens += tokens;
    work->pairs += tokens * (sequence.computed + tokens / 2.0);
    work->context += sequence.computed;
  }
}

double SimRank::BeginStep() {
  planned_.clear();
  StepWork work;
  GrowOrPreempt();
  decoding_ = std::min<size_t>(running_.size(), size_t(curve_.max_running));
  for (size_t i = 0; i < decoding_; ++i) {
    const double context = running_[i].job.prompt + running_[i].generated;
    work.pairs += context;
    work.context += context;
  }
  work.tokens += double(decoding_);
  PlanPrompts(step_tokens_ - double(decoding_), &work);
  if (work.tokens == 0) return 0;
  stepping_ = true;
  const double seconds = curve_.StepSeconds(work);
  busy_s_ += seconds;
  return seconds;
}

void SimRank::GrowOrPreempt() {
  for (size_t i = 0; i < running_.size(); ++i) {
    Sequence& sequence = running_[i];
    const uint64_t wanted = PagesFor(sequence.job.prompt + sequence.generated + 1);
    while (i < running_.size() && wanted > sequence.hold.shared + sequence.hold.own) {
      if (pool_.Grow(&sequence.hold)) continue;
      Sequence last = std::move(running_.back());
      running_.pop_back();
      pool_.Release(last.job.chain, &last.hold);
      last.placed = false;
      last.target = last.job.prompt + last.generated;
      last.computed = 0;
      last.job.hands_off = false;
      queue_.push_front(std::move(last));
      ++preempted_;
    }
  }
}

void SimRank::EndChunk(Sequence* sequence, uint32_t tokens, StepResult* result) {
  sequence->computed += tokens;
  pool_.Publish(sequence->job.chain, std::min(sequence->computed, sequence->job.prompt) / page_tokens_,
                &sequence->hold);
  const bool last = sequence->computed >= sequence->target;
  if (sequence->generated > 0) {  // was preempted: this is one of its later tokens
    if (last) result->tokens.push_back(sequence->job.request);
  } else {
    result->chunks.push_back({sequence->job.request, sequence->cached, sequence->computed, last});
  }
  if (!last) return;
  ++sequence->generated;
  if (sequence->generated >= sequence->job.answer) {
    result->finished.push_back(sequence->job.request);
    if (!sequence->job.hands_off) pool_.Release(sequence->job.chain, &sequence->hold);
  } else if (!sequence->job.hands_off) {
    running_.push_back(std::move(*sequence));
    return;
  }
  if (sequence->job.hands_off) handing_off_.emplace(sequence->job.request, std::move(*sequence));
}

StepResult SimRank::EndStep() {
  StepResult result;
  stepping_ = false;
  std::vector<Sequence> stay;
  stay.reserve(running_.size());
  for (size_t i = 0; i < running_.size(); ++i) {
    Sequence& sequence = running_[i];
    if (i < decoding_) {
      ++sequence.generated;
      result.tokens.push_back(sequence.job.request);
      if (sequence.generated >= sequence.job.answer) {
        result.finished.push_back(sequence.job.request);
        pool_.Release(sequence.job.chain, &sequence.hold);
        continue;
      }
    }
    stay.push_back(std::move(sequence));
  }
  running_ = std::move(stay);
  for (const auto& [request, tokens] : planned_) {
    const auto it = std::find_if(queue_.begin(), queue_.end(), [id = request](const Sequence& sequence) {
      return sequence.job.request == id;
    });
    EndChunk(&*it, tokens, &result);
    if (it->computed >= it->target) queue_.erase(it);
  }
  return result;
}

}  // namespace baton::simulator
