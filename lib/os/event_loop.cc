// EventLoop on Boost.Asio's reactor (epoll). The only translation unit of this folder that includes Boost.
#include "os/event_loop.h"
