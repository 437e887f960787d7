"""The rules as they are taken away from the handoff's own sources: file, text (found exactly once), and what it becomes in the
copy. Names as in tests/model/rules.py. EXPIRED_REVIVES and the like add an error; most only make a check conditional."""


def unless(flag, condition):
    """`condition` that no longer holds once the rule is taken away."""
    return condition + ' && !Without("' + flag + '")'


EDITS = [
    # owner: time
    ("owner_lease.h", "  MonoTime expires() const {\n", """  MonoTime expires() const {
    if (Without("NO_EXPIRY")) return absl::InfiniteFuture();
"""),
    ("owner_lease.h", "{ return std::min(lease_until_, begun_.hard_deadline); }",
     '{ return Without("RENEW_PAST_HARD_DEADLINE") ? lease_until_ : std::min(lease_until_, begun_.hard_deadline); }'),
    ("owner.cc", "  End(HandoffId(id), false, awaiting ?", """  if (!awaiting && Without("EXPIRED_REVIVES")) {
    out->push_back(OwnEnded{id, false, "the lease expired"});
    record->Renew(now);
    return false;
  }
  End(HandoffId(id), false, awaiting ?"""),
    ("owner_messages.cc", "  pending_timers_.Set(key, now + options_.keep_pending);",
     '  if (!Without("NO_PENDING_EXPIRY")) pending_timers_.Set(key, now + options_.keep_pending);'),
    # owner: memory
    ("owner.cc", "    if (record.hard_deadline() > now) {",
     "    if (" + unless("VERDICT_NOT_REMEMBERED", "record.hard_deadline() > now") + ") {"),
    ("owner.cc", "  if (until <= now) return;", '  if (until <= now || Without("ENDS_NOT_REMEMBERED")) return;'),
    ("owner.cc", "  record->Seal(command);", """  record->Seal(command);
  if (Without("FREE_WHILE_READ")) out->push_back(OwnEnded{command.id, false, "freed"});"""),
    ("owner_messages.cc", "    const uint64_t lease = ++last_lease_;",
     '    const uint64_t lease = Without("LEASE_IDS_REPEAT") ? 1 + record.id().stream.lo : ++last_lease_;'),
    # owner: who asks
    ("owner.cc", "record->lease() != lease || record->secret() != secret)",
     '(record->lease() != lease && !Without("NO_LEASE_CHECK")) ||\n'
     '      (record->secret() != secret && !Without("NO_SECRET")))'),
    ("owner_messages.cc", "known->second.secret == secret &&", '(known->second.secret == secret || Without("NO_SECRET")) &&'),
    ("owner.cc", "  if (FromProto(pull.owner_epoch()) != options_.epoch) {",
     "  if (" + unless("OWNER_CHECKS_NO_EPOCH", "FromProto(pull.owner_epoch()) != options_.epoch") + ") {"),
    ("owner_messages.cc", "  if (FromProto(open.owner_epoch()) != options_.epoch) {",
     "  if (" + unless("OWNER_CHECKS_NO_EPOCH", "FromProto(open.owner_epoch()) != options_.epoch") + ") {"),
    ("owner_messages.cc", "  if (FromProto(confirm.owner_epoch()) != options_.epoch) {",
     "  if (" + unless("OWNER_CHECKS_NO_EPOCH", "FromProto(confirm.owner_epoch()) != options_.epoch") + ") {"),
    ("owner_messages.cc", "FromProto(renew.owner_epoch()) != options_.epoch) {",
     "(" + unless("OWNER_CHECKS_NO_EPOCH", "FromProto(renew.owner_epoch()) != options_.epoch") + ")) {"),
    ("owner_messages.cc", "FromProto(release.owner_epoch()) != options_.epoch) {",
     "(" + unless("OWNER_CHECKS_NO_EPOCH", "FromProto(release.owner_epoch()) != options_.epoch") + ")) {"),
    ("owner.cc", "FromProto(message.sender_epoch()) != record->begun().reader_epoch) {",
     "(" + unless("OWNER_CHECKS_NO_READER_EPOCH", "FromProto(message.sender_epoch()) != record->begun().reader_epoch") + ")) {"),
    ("owner_messages.cc", "  if (record->begun().reader_epoch != FromProto(open.reader_epoch())) {",
     "  if (" + unless("OWNER_CHECKS_NO_READER_EPOCH", "record->begun().reader_epoch != FromProto(open.reader_epoch())") + ") {"),
    ("owner_messages.cc", "known->second.reader_epoch == reader_epoch) {",
     '(known->second.reader_epoch == reader_epoch || Without("OWNER_CHECKS_NO_READER_EPOCH"))) {'),
    ("owner_messages.cc", "record->begun().reader_epoch != reader_epoch) {",
     "(" + unless("OWNER_CHECKS_NO_READER_EPOCH", "record->begun().reader_epoch != reader_epoch") + ")) {"),
    ("owner.cc", "life.first == epoch && now < life.second; });",
     'life.first == epoch && !Without("SUPERSEDED_MAY_OPEN") &&\n'
     '             (now < life.second || Without("SUPERSEDED_FOR_GOOD")); });'),
    ("owner_messages.cc", 'Refuse(from, id, "the reader has restarted", true, out);',
     'Refuse(from, id, "the reader has restarted", !Without("SUPERSEDED_FOR_GOOD"), out);'),
    ("owner.cc", "    if (record.begun().reader_epoch == old) ended.push_back(id);",
     '    if (record.begun().reader_epoch == old && !Without("NEW_EPOCH_REVOKES_NOTHING")) ended.push_back(id);'),
    # owner: what is confirmed
    ("owner_messages.cc", "  if (!record->sealed()) {", "  if (" + unless("UNSEALED_MAY_BE_HELD", "!record->sealed()") + ") {"),
    ("owner_messages.cc", "  } else if (record->offers() != confirm.offers()) {",
     "  } else if (" + unless("CONFIRM_COUNT_NOT_COMPARED", "record->offers() != confirm.offers()") + ") {"),
    ("owner_messages.cc", "    if (verdict != verdicts_.end() && verdict->second.held)",
     "    if (" + unless("LATE_RENEW_REVOKES", "verdict != verdicts_.end() && verdict->second.held") + ")"),
    # reader: what is complete, and what is held
    ("reader_pull.cc", "  return sealed_offers_ == contiguous_ && contiguous_ == offers_.size() && cells_verified_ == cells_wanted_;",
     """  bool counted = sealed_offers_ == contiguous_ && contiguous_ == offers_.size();
  if (Without("NO_SEAL_COUNT")) counted = sealed();
  if (Without("CONFIRMS_UNSEALED")) counted = !offers_.empty();
  return counted && cells_verified_ == (Without("NO_COVERAGE") ? cells_offered_ : cells_wanted_);"""),
    ("reader_pull.cc", "  return sealed_offers_ == contiguous_ && cells_offered_ < cells_wanted_;",
     "  return " + unless("NO_COVERAGE", "sealed_offers_ == contiguous_ && cells_offered_ < cells_wanted_") + ";"),
    ("reader.cc", "  SetState(pull, ReaderState::kConfirming);", """  SetState(pull, ReaderState::kConfirming);
  if (Without("NO_CONFIRM")) return Hold(pull, out);"""),
    ("reader.cc", "  if (!match) {", "  if (" + unless("NO_CHECKSUM", "!match") + ") {"),
    ("reader_messages.cc", """      if (pull.state() == ReaderState::kConfirming)
        return;""", """      if (pull.state() == ReaderState::kConfirming && !Without("REVOKE_COUNTS_WHILE_CONFIRMING"))
        return;"""),
    ("reader_messages.cc", "      ++counters_.revoked;\n", """      ++counters_.revoked;
      if (Without("PARTS_OF_A_REVOKED_LEASE_COUNT") && pull.reads().empty()) return pull.OpenAgain(now);
"""),
    ("reader_pull.h", "  // false: had it already. An error voids the pull.\n", """  void OpenAgain(MonoTime now) {
    state_ = ReaderState::kOpening;
    lease_ = 0;
    sealed_offers_.reset();
    next_request = now;
    next_renew = absl::InfiniteFuture();
    heard_until = now + options_.silence;
  }
  // false: had it already. An error voids the pull.
"""),
    # reader: late bytes
    ("reader.cc", "  const bool fenced = pull.reads().empty();", '  const bool fenced = pull.reads().empty() || Without("NO_QUARANTINE");'),
    ("reader.cc", "      out->push_back(ClosePeer{pull.peer()});",
     '      if (!Without("FENCE_NEVER_CLOSES")) out->push_back(ClosePeer{pull.peer()});'),
    # reader: time
    ("reader.cc", "  const bool out_of_time = now >= pull.begun().deadline;",
     "  const bool out_of_time = " + unless("NO_READER_DEADLINE", "now >= pull.begun().deadline") + ";"),
    ("reader_pull.cc", "  MonoTime next = std::min({begun_.deadline, next_request, next_renew});",
     """  MonoTime next = std::min(next_request, next_renew);
  if (!Without("NO_READER_DEADLINE")) next = std::min(next, begun_.deadline);"""),
    ("reader_pull.h", "{ return std::min(lease_until_, hard_until_); }",
     '{ return Without("NO_READER_LEASE_TIMER") ? absl::InfiniteFuture() : std::min(lease_until_, hard_until_); }'),
    ("reader_pull.h", "{ return state_ == ReaderState::kOpening || state_ == ReaderState::kConfirming; }",
     """{
    return (state_ == ReaderState::kOpening || state_ == ReaderState::kConfirming) && !Without("NO_SILENCE_LIMIT");
  }"""),
    # reader: who answers
    ("reader_messages.cc", "  } else if (FromProto(message.sender_epoch()) != pull->begun().owner.epoch) {",
     "  } else if (" + unless("READER_CHECKS_NO_EPOCH", "FromProto(message.sender_epoch()) != pull->begun().owner.epoch") + ") {"),
    ("reader_messages.cc", "pull->state() != ReaderState::kOpening || owner != pull->begun().owner.epoch ||",
     'pull->state() != ReaderState::kOpening ||\n'
     '      (owner != pull->begun().owner.epoch && !Without("READER_CHECKS_NO_EPOCH")) ||'),
    ("reader_messages.cc", "    const bool same = opened && lease == pull.lease();",
     '    const bool same = opened && (lease == pull.lease() || Without("READER_CHECKS_NO_LEASE"));'),
    ("reader_messages.cc", "  if (pull == nullptr) {  // given up before the answer came\n    ++counters_.stale;\n",
     """  if (pull == nullptr) {  // given up before the answer came
    ++counters_.stale;
    if (Without("UNEXPECTED_OPENED_IGNORED")) return;
"""),
]
