// Service: one name under which versions come and go. Keeps one instance live, restarts it when it ends or
// turns ill, and lends its hands to a swap: a second, incoming instance that is committed or abandoned.
//
// On the event loop only. Callbacks may come before the call that they were given to returns.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "supervise/backoff.h"
#include "supervise/bind_answers.h"
#include "supervise/instance.h"
#include "supervise/listening_sockets.h"
#include "supervise/parked_descriptors.h"

namespace sb::supervise {

struct ServiceStatus {
  std::string name;
  std::string project;
  int version = 0;
  // starting | running | not ready | reloading | stopping | unhealthy | backoff | safe mode | stopped |
  // failed
  std::string state;
  pid_t pid = 0;  // 0: none
  std::int64_t since_ms = 0;
  int restarts = 0;  // by itself, since this version went live
  std::string swap;
  std::vector<std::string> sockets;
  std::string status_text;
  std::string last_exit;
  std::string directory;
  std::string steering;  // steered | shared socket, of a service with sockets that is swapped by overlap
  std::string pin;       // pinned | frozen
  std::string pin_reason;
  std::string standby;  // ready | starting | waiting | impossible, of a service that wants one
};
[[nodiscard]] nlohmann::json to_json(const ServiceStatus& status);

class Service {
 public:
  using Done = std::function<void(Status)>;
  enum class Old { drains, rests };  // what becomes of the one that was live

  // Records the service; starts nothing.
  [[nodiscard]] static Result<std::unique_ptr<Service>> make(Surroundings& around, Deployment deployment,
                                                             bool wanted);
  // After a restart of the conductor: its sockets, and its processes as far as they still run. Starts
  // nothing.
  [[nodiscard]] static Result<std::unique_ptr<Service>> recover(Surroundings& around, const ServiceRow& row);

  // -- every day ------------------------------------------------------------------------------------------
  void start(Done up);  // good once ready and healthy; retried with back-off after a failure
  void stop(std::function<void()> gone);  // drains; wanted no more
  // Drains, but stays wanted: the conductor's next start resumes it, and nothing is started before that.
  void pause(std::function<void()> gone);
  // Drains and starts again. interrupted when it is stopped meanwhile, conflict when a swap takes it over.
  void restart(Done up);
  void resume();  // starts what is wanted and does not run
  void remove();  // forgets a stopped service and closes its sockets
  [[nodiscard]] ServiceStatus status() const;
  [[nodiscard]] const Deployment& deployment() const { return deployment_; }
  [[nodiscard]] bool wanted() const { return wanted_; }
  [[nodiscard]] bool live_runs() const { return live_ != nullptr; }
  // Of the live version's processes; 0 when none runs.
  [[nodiscard]] std::uint64_t resident_bytes() const { return live_ ? live_->resident_bytes() : 0; }
  // The process that is live is one of this deployment, whatever the service itself is set to.
  [[nodiscard]] bool live_is(const Deployment& deployment) const;
  // It was drained with the conductor and has not been started since; it would be one of this deployment.
  [[nodiscard]] bool is_paused(const Deployment& deployment) const;
  [[nodiscard]] bool live_is_up() const { return live_ && live_->phase() == Instance::Phase::up; }
  [[nodiscard]] int restarts() const { return restarts_; }  // by itself, since this version went live
  [[nodiscard]] int checks_passed() const { return live_ ? live_->checks_passed() : 0; }
  [[nodiscard]] Instance* instance_of(pid_t pid_or_session) const;
  // Of one of its instances. At most `room` descriptors are parked; the log says of what is refused.
  void notify(Instance& from, const Notification& notification, std::vector<UniqueFd> fds, std::size_t room);
  [[nodiscard]] std::size_t parked() const { return parked_.count(); }

  // -- a swap -----------------------------------------------------------------------------------------------
  // Starts `next` beside the live instance, or after draining it when either cannot run twice. Good once it
  // is ready and healthy; on an error it has gone again, and the old one is as it was (or drained: see
  // abandon).
  void bring_up(const Deployment& next, Done up);
  // Why the incoming instance is not, or not any more, up; empty when it is.
  [[nodiscard]] std::string incoming_trouble() const;
  [[nodiscard]] bool has_incoming() const { return incoming_ != nullptr; }
  [[nodiscard]] bool incoming_is(const Deployment& next) const;
  // The incoming instance becomes the live one, and gets all new connections; calls when the old one has
  // accepted those that had come before, and has drained; at once when it rests instead.
  void commit(std::function<void()> drained, Old old = Old::drains);
  // The incoming instance is killed; the live one is started again if it was drained. Good once that is up.
  void abandon(Done back);
  // The same without a word about the live one: for a redo of the swap.
  void drop_incoming(std::function<void()> gone);
  // -- steering (service_steer.cc)
  // The live and the incoming instance have sockets of their own: the next five mean something.
  [[nodiscard]] bool can_steer() const;
  // So many percent of new connections, by chance, go to the incoming instance.
  [[nodiscard]] Status steer_to_incoming(int percent);
  // The incoming instance has sockets of its own, which users reach only by steering.
  [[nodiscard]] bool incoming_is_apart() const;
  [[nodiscard]] bool incoming_is_starting() const {
    return incoming_ && incoming_->phase() == Instance::Phase::starting;
  }
  [[nodiscard]] bool rests(const Deployment& deployment) const;  // and is as well as it was
  [[nodiscard]] bool has_resting() const { return resting_ != nullptr; }
  // The live instance was a mistake: the one that rests is live again, by one system call a socket. The other
  // drains.
  void take_back();
  void release(std::function<void()> drained);  // the one that rests is not needed any more
  // How users reach this service, or one of its instances alone; none: it does not run.
  enum class Reached { by_users, live, incoming };
  [[nodiscard]] std::vector<BoundAddress> addresses_of(Reached which) const;
  void set_pin(Pin pin);
  [[nodiscard]] const Pin& pin() const { return pin_; }

  // Last resort: this deployment is live by decree, and is retried with back-off; or stopped, when not
  // wanted.
  void settle_on(const Deployment& deployment, bool wanted);
  // Not to be restarted until commit, abandon or settle_on.
  void hold();
  // While watched, ill health of the live instance, or its third end, is told here once instead of being
  // mended, and the service is held.
  void watch(std::function<void(const std::string& cause)> trouble);
  void unwatch() {
    trouble_ = nullptr;
    crashes_ = 0;
  }
  void close_unused_sockets();  // but for a version that comes up, which may have some of its own

 private:
  Service(Surroundings& around, Deployment deployment, bool wanted)
      : around_(around),
        deployment_(std::move(deployment)),
        wanted_(wanted),
        sockets_(around, deployment_.spec.name),
        bind_answers_(around, deployment_.spec.name, sockets_),
        parked_(around, deployment_.spec.name) {}

  struct Leaving {
    std::unique_ptr<Instance> instance;
    std::function<void()> gone;
    os::Watch accepts{};  // until nobody waits in its backlog any more
  };

  [[nodiscard]] Result<std::unique_ptr<Instance>> launch(const Deployment& deployment, Role role);
  [[nodiscard]] Instance::Events events_of(std::int64_t id);
  [[nodiscard]] Instance* instance_that(const std::function<bool(const Instance&)>& matches) const;
  [[nodiscard]] Instance* instance_by_id(std::int64_t id) const;
  // What tells its processes from all others, also from those of a service of that name in another home.
  [[nodiscard]] std::vector<std::string> marks(std::int64_t id) const;
  void adopt(const InstanceRow& row);
  [[nodiscard]] std::optional<os::Process> process_of(const InstanceRow& row);  // if it still runs
  [[nodiscard]] Result<std::int64_t> announce(const Deployment& deployment, Role role);
  [[nodiscard]] Result<std::int64_t> row_for(const Deployment& deployment, Role role);
  void announce_next();
  void withdraw_next();
  [[nodiscard]] UniqueFd open_output() const;  // none: nowhere
  // Where it may keep what is to outlive its processes; what the user has set stays.
  void name_state_directory(std::vector<std::string>& environment) const;
  void start_live();
  void drain_live(std::function<void()> gone);
  void when_all_have_left(std::function<void()> callback);
  void tell_trouble(const std::string& cause);
  void start_incoming(const Deployment& next);
  void retire(std::unique_ptr<Instance> instance, std::function<void()> gone, bool at_once = false);
  [[nodiscard]] Side side_for(const Deployment& deployment, Role role) const;
  void steer(Side side, int percent_to_other = 0);
  void take_sockets_for_incoming();
  void take_users_from_incoming();
  void another_is_live();
  void drain_when_accepted(std::int64_t id, os::Milliseconds until);
  void reset_forsaken(Side side);
  void schedule_restart(bool was_ready);
  void settle(const Status& status);  // answers whoever waits for the live instance
  void finish_bring_up(Status status);
  // -- standby (service_standby.cc)
  [[nodiscard]] bool may_have_spare() const;
  void want_spare();
  void start_spare();
  void drop_spare(std::function<void()> gone);
  [[nodiscard]] bool take_spare();
  void spare_ended(const os::Exit& exit);
  void recover_spare();
  [[nodiscard]] std::string standby_state() const;
  // -- safe mode
  void start_failed(bool was_ready);  // or what ran has ended; the next start is scheduled, if there is one
  void answer_in_its_place();
  void answers_itself();  // or is not wanted any more
  [[nodiscard]] Diagnosis diagnosis() const;
  [[nodiscard]] std::string code_file() const;  // of the buttons of its page in safe mode
  void on_up(std::int64_t id);
  void live_is_well();
  void on_ill(std::int64_t id, const std::string& cause);
  void on_unready(std::int64_t id, const std::string& cause);
  void on_main_process(std::int64_t id);
  void on_ended(std::int64_t id, const os::Exit& exit);
  void has_left(Leaving left, const os::Exit& exit);
  void live_ended(const os::Exit& exit);
  [[nodiscard]] bool is_last_crash();
  void forget(std::unique_ptr<Instance> instance);
  void bury(std::unique_ptr<Instance> instance);
  [[nodiscard]] bool may_start() const { return wanted_ && !held_ && !ending_; }
  [[nodiscard]] ServiceRow row() const {
    return {.deployment = deployment_, .wanted = wanted_, .paused = paused_, .side = side_, .pin = pin_};
  }
  // Written in a turn of its own, after what is urgent.
  void record_later(std::function<Status()> record);
  void write_records_soon();
  void write_records();
  void record();
  void record_hand_over(std::int64_t from, Role role_of_from = Role::draining);
  void note(const Status& status) const;
  void log(const std::string& text) const;
  [[nodiscard]] const std::string& name() const { return deployment_.spec.name; }

  Surroundings& around_;
  Deployment deployment_;
  bool wanted_;
  bool held_ = false;    // no restarts: a swap has it in its hands
  bool paused_ = false;  // on disk, too; until it is started again
  bool ending_ = false;  // and the conductor with it
  ListeningSockets sockets_;
  BindAnswers bind_answers_;
  ParkedDescriptors parked_;
  std::unique_ptr<Instance> live_;
  std::unique_ptr<Instance> incoming_;
  std::unique_ptr<Instance> resting_;
  std::unique_ptr<Instance> spare_;
  bool spare_has_users_ = true;     // they waited for the process that had its sockets before
  Side side_ = Side::a;             // where new connections go: that of the live instance
  bool exposed_ = false;            // users may have reached the incoming instance
  os::Milliseconds steered_at_{0};  // monotonic
  Pin pin_;
  std::vector<Leaving> leaving_;
  std::vector<std::function<void()>> when_left_;
  std::vector<std::unique_ptr<Instance>> buried_;
  RestartBackoff backoff_;
  int restarts_ = 0;
  int crashes_ = 0;  // while it is watched
  std::string last_exit_;
  std::string trouble_text_;  // why it does not run well now
  std::string incoming_trouble_;
  std::vector<Done> waiting_;
  Done bring_up_done_;
  std::function<void(const std::string&)> trouble_;
  std::optional<std::int64_t> next_row_;  // announced ahead of the next start of the live version
  std::int64_t unrecorded_ = 0;           // processes that the disk had no room for
  std::vector<std::function<Status()>> records_;
  os::Watch records_timer_;
  std::optional<os::Milliseconds> down_since_;  // monotonic; none: an instance is ready, or should not be
  bool failed_start_ = false;                   // since then
  bool answering_ = false;                      // safe mode
  os::Watch patience_;
  os::Milliseconds restart_at_{0};  // monotonic, of the timer
  os::Watch restart_timer_;
  RestartBackoff spare_backoff_;
  os::Watch spare_timer_;  // until the next one starts, or until this one counts as stable
  os::Watch stable_timer_;
  os::Watch record_timer_;
  os::Watch funeral_;
};

}  // namespace sb::supervise
