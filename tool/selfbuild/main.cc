// selfbuild: the command line. Only this file decides what the program prints last and how it exits.
#include "tool/selfbuild/command.h"

int main(int argc, char** argv) {
  sb::tool::Program program;
  for (const auto add :
       {sb::tool::add_init,    sb::tool::add_build,    sb::tool::add_test,       sb::tool::add_update,
        sb::tool::add_promote, sb::tool::add_rollback, sb::tool::add_hold,       sb::tool::add_pin,
        sb::tool::add_nightly, sb::tool::add_status,   sb::tool::add_history,    sb::tool::add_show,
        sb::tool::add_log,     sb::tool::add_logs,     sb::tool::add_explain,    sb::tool::add_audit,
        sb::tool::add_gc,      sb::tool::add_cache,    sb::tool::add_doctor,     sb::tool::add_conductor,
        sb::tool::add_worker,  sb::tool::add_help,     sb::tool::add_completions}) {
    add(program);
  }
  return program.run(argc, argv);
}
