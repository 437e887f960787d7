#include "tests/integration/kv_pool/pool_harness.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <regex>
#include <sstream>
#include <thread>

#include "common/block_hash.h"
#include "services/kv_transfer/pool/disk/record.h"
#include "services/kv_transfer/transport/fast_wire.h"

namespace baton {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(30);

std::string ReadAll(const std::string& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

}  // namespace

PoolProcess::PoolProcess(std::string folder, std::vector<std::string> flags)
    : folder_(std::move(folder)), flags_(std::move(flags)) {
  std::filesystem::create_directories(folder_);
}

PoolProcess::~PoolProcess() {
  Kill(SIGKILL);
}

void PoolProcess::Signal(int signal) {
  if (pid_ != 0) kill(pid_, signal);
}

std::string PoolProcess::log() const {
  return ReadAll(folder_ + "/log");
}

void PoolProcess::Start() {
  const std::string address = folder_ + "/address.json", log = folder_ + "/log";
  std::filesystem::remove(address);
  std::vector<std::string> words = {BATON_BINARY_DIR "/bin/baton-kv", "--address_file=" + address,
                                    "--kv_curve=false", "--disk_dir=" + folder_ + "/disk"};
  words.insert(words.end(), flags_.begin(), flags_.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_ = fork();
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(out, 1);
    dup2(out, 2);
    execv(argv[0], argv.data());
    _exit(127);
  }
  const SteadyClock clock;
  const MonoTime deadline = clock.Now() + kPatience;
  while (!std::filesystem::exists(address) && clock.Now() < deadline) std::this_thread::yield();
  const std::string text = ReadAll(address);
  std::smatch match;
  ASSERT_TRUE(std::regex_search(text, match, std::regex(R"re("grpc": "([^"]+)")re"))) << text << this->log();
  grpc_ = match[1];
}

int PoolProcess::Kill(int signal) {
  if (pid_ == 0) return 0;
  kill(pid_, signal);
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = 0;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

PoolRun TestRun(uint64_t prompt, size_t blocks, uint64_t salt) {
  std::vector<TokenId> tokens(blocks * kAtomTokens, static_cast<TokenId>(prompt));
  return {BlockHashes(RootBlockHash("test weights", {salt, 1}), tokens, kAtomTokens),
          PrefixDigests(tokens, kAtomTokens)};
}

std::vector<std::byte> TestPage(const BlockHash& block) {
  std::vector<std::byte> page(kPoolTestLayout.PageBytes());
  std::mt19937_64 random(block.hi ^ block.lo);
  auto* words = reinterpret_cast<uint64_t*>(page.data());
  for (size_t i = 0; i < page.size() / sizeof(uint64_t); ++i) words[i] = random();
  return page;
}

FakeWorker::FakeWorker(const std::string& pool, const std::string& fingerprint) {
  memory_ = *SharedMemory::Create(kPages * kPoolTestLayout.PageBytes());
  auto wire = NewFastWire({.shared = {memory_.get()}}, &clock_);
  EXPECT_TRUE(wire.ok()) << wire.status();
  KvPeer self{.epoch = RandomId128()};
  auto node =
      HandoffNode::Start({.fingerprint = fingerprint}, self.epoch, this, *std::move(wire), &clock_, this);
  EXPECT_TRUE(node.ok()) << node.status();
  node_ = *std::move(node);
  self.endpoint = node_->endpoint();
  client_ = std::make_unique<PoolClient>(PoolClientOptions{.endpoint = pool,
                                                           .fingerprint = fingerprint,
                                                           .layout = kPoolTestLayout,
                                                           .self = [self] { return self; },
                                                           .call_time = absl::Seconds(1)},
                                         &clock_);
}

FakeWorker::~FakeWorker() {
  client_.reset();
  node_.reset();
}

bool FakeWorker::Attach() {
  const MonoTime deadline = clock_.Now() + kPatience;
  while (!client_->stats().attached && clock_.Now() < deadline) std::this_thread::yield();
  return client_->stats().attached;
}

void FakeWorker::OnHandoffEvent(HandoffEvent event) {
  MutexLock lock(&mutex_);
  if (const auto* owned = std::get_if<OwnEnded>(&event)) ended_[owned->id.stream] = owned->held;
  if (const auto* held = std::get_if<PullHeld>(&event)) ended_[held->id.stream] = true;
  if (const auto* lost = std::get_if<PullLost>(&event); lost != nullptr && lost->fenced)
    ended_[lost->id.stream] = false;
  if (const auto* fenced = std::get_if<PullFenced>(&event)) ended_[fenced->id.stream] = false;
}

std::optional<bool> FakeWorker::Await(const Id128& handoff, absl::Duration longest) {
  MutexLock lock(&mutex_);
  mutex_.Await([&]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return ended_.contains(handoff); }, longest);
  const auto it = ended_.find(handoff);
  return it == ended_.end() ? std::nullopt : std::optional<bool>(it->second);
}

uint32_t FakeWorker::Store(const PoolRun& run, bool wait) {
  const Id128 handoff = RandomId128();
  Mutex mutex;
  std::optional<absl::StatusOr<PoolWants>> wants;
  client_->Store({.handoff = handoff, .run = run, .timeout = absl::Seconds(20)},
                 [&](absl::StatusOr<PoolWants> answer) {
                   MutexLock lock(&mutex);
                   wants = std::move(answer);
                 });
  {
    MutexLock lock(&mutex);
    mutex.Await([&] { return wants.has_value(); }, kPatience);
  }
  if (!wants.has_value() || !wants->ok() || (*wants)->blocks == 0) return 0;
  const uint32_t end = (*wants)->first + (*wants)->blocks;
  OwnOffer offer{.id = {handoff, {}}, .end = end * kAtomTokens, .end_layer = kPoolTestLayout.layers};
  for (uint32_t i = 0; i < end; ++i) {
    const std::vector<std::byte> page = TestPage(run.blocks[i]);
    std::copy(page.begin(), page.end(), Page(0, static_cast<PageId>(i)).begin());
    const auto sums = pool::SumUnits(page, kPoolTestLayout.UnitBytes());
    offer.checksums.insert(offer.checksums.end(), sums.begin(), sums.end());
    offer.pages.push_back(static_cast<PageId>(i));
  }
  const MonoTime deadline = clock_.Now() + absl::Seconds(20);
  EXPECT_TRUE(node_->Submit(OwnBegin{{handoff, {}}, 0, (*wants)->pool.epoch, 0, offer.end, deadline}).ok());
  EXPECT_TRUE(node_->Submit(std::move(offer)).ok());
  EXPECT_TRUE(node_->Submit(OwnSeal{{handoff, {}}, run.digests[end - 1], 0}).ok());
  if (!wait) return (*wants)->blocks;
  return Await(handoff, kPatience).value_or(false) ? (*wants)->blocks : 0;
}

uint32_t FakeWorker::Fetch(const PoolRun& run) {
  const Id128 handoff = RandomId128();
  Mutex mutex;
  std::optional<absl::StatusOr<PoolFound>> found;
  client_->Fetch({.handoff = handoff, .run = run, .timeout = absl::Seconds(20)},
                 [&](absl::StatusOr<PoolFound> answer) {
                   MutexLock lock(&mutex);
                   found = std::move(answer);
                 });
  {
    MutexLock lock(&mutex);
    mutex.Await([&] { return found.has_value(); }, kPatience);
  }
  if (!found.has_value() || !found->ok() || (*found)->blocks == 0) return 0;
  const uint32_t blocks = (*found)->blocks;
  PullBegin pull{.id = {handoff, {}},
                 .owner = (*found)->pool,
                 .end = blocks * kAtomTokens,
                 .digest = run.digests[blocks - 1],
                 .deadline = clock_.Now() + absl::Seconds(20)};
  for (uint32_t i = 0; i < blocks; ++i) {
    pull.pages.push_back(static_cast<PageId>(i));
    std::fill(Page(0, static_cast<PageId>(i)).begin(), Page(0, static_cast<PageId>(i)).end(),
              std::byte{0xAA});
  }
  EXPECT_TRUE(node_->Submit(std::move(pull)).ok());
  if (!Await(handoff, kPatience).value_or(false)) return 0;
  for (uint32_t i = 0; i < blocks; ++i) {
    const std::vector<std::byte> page = TestPage(run.blocks[i]);
    wrong_blocks_ += !std::equal(page.begin(), page.end(), Page(0, static_cast<PageId>(i)).begin());
  }
  return blocks;
}

}  // namespace baton
