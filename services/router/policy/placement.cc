#include "services/router/policy/placement.h"

#include <algorithm>

namespace baton::router {

uint64_t RankView::Streams() const {
  return std::max(own_streams, running + waiting + fresh_streams);
}
uint64_t RankView::Backlog() const {
  return std::max(own_tokens, backlog_tokens + fresh_tokens);
}

}  // namespace baton::router
