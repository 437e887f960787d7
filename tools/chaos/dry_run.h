#pragma once

// What a schedule would do to containers or pods, as the commands that one could type.

#include <memory>
#include <string>

#include "tools/chaos/remote_commands.h"

namespace baton::chaos {

// Each step with its time as a comment, its commands below it, and what cannot be done there.
std::string DryRun(const Scenario& scenario, const Schedule& schedule,
                   std::unique_ptr<RemoteCommands> commands);

}  // namespace baton::chaos
