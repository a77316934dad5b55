%% The operations of bench/kernel_bench.cpp in Erlang, a JSON object a line. Times are of batches, as there; each batch
%% runs in a fresh process, as OTP's own benchmarks do, so that no garbage of one is collected in the next.
-module(peer_bench).
-behaviour(gen_server).
-export([local/0, node/1, sink/2]).
-export([start_link/0, init/1, handle_call/3, handle_cast/2]).

-define(BATCH, 1000).
-define(BATCHES, 300).
-define(RING, 10000).
-define(ALIVE, 1000000).
-define(CRASHES, 50).
-define(SUPERVISORS, 100).
-define(ROUND_TRIPS, 20000).
-define(FLOOD, 200000).

local() ->
    logger:set_primary_config(level, none),
    batches("spawn_exit_monitor", fun spawned/1, ok),
    {ok, Server} = gen_server:start_link(?MODULE, [], []),
    batches("call", fun calls/1, Server),
    Echo = spawn_link(fun echo_loop/0),
    batches("message_round_trip", fun round_trips/1, Echo),
    batches("one_way", fun one_way/1, ok),
    ring(),
    batches("timer_set_cancel", fun timers/1, ok),
    crashes(),
    alive(),
    halt(0).

%% ---- the operations ----

spawned(0) -> ok;
spawned(N) when is_integer(N) ->
    {_, Ref} = spawn_monitor(fun() -> ok end),
    receive {'DOWN', Ref, process, _, normal} -> spawned(N - 1) end;
spawned(_) -> spawned(?BATCH).

calls(Server) -> calls(Server, ?BATCH).
calls(_, 0) -> ok;
calls(Server, N) -> pong = gen_server:call(Server, ping), calls(Server, N - 1).

round_trips(Echo) -> round_trips(Echo, ?BATCH).
round_trips(_, 0) -> ok;
round_trips(Echo, N) -> Echo ! self(), receive pong -> round_trips(Echo, N - 1) end.

%% Until the receiver has had them all.
one_way(_) ->
    Self = self(),
    Sink = spawn(?MODULE, sink, [Self, ?BATCH]),
    flood(Sink, ?BATCH),
    receive done -> ok end.
flood(_, 0) -> ok;
flood(To, N) -> To ! message, flood(To, N - 1).
sink(Owner, 0) -> Owner ! done;
sink(Owner, N) -> receive message -> sink(Owner, N - 1) end.

timers(_) -> timers_(?BATCH).
timers_(0) -> ok;
timers_(N) -> erlang:cancel_timer(erlang:send_after(5000, self(), late)), timers_(N - 1).

echo_loop() -> receive From -> From ! pong, echo_loop() end.

%% One token, many times around ten thousand processes.
ring() ->
    Self = self(),
    First = spawn_link(fun() -> receive {next, Next} -> member(Next, Self) end end),
    Last = lists:foldl(fun(_, Next) -> spawn_link(fun() -> member(Next, Self) end) end, First, lists:seq(2, ?RING)),
    First ! {next, Last},
    Last ! ?RING,
    receive done -> ok end,
    Times = [begin
                 T0 = now_ns(), Last ! 5 * ?RING, receive done -> ok end, (now_ns() - T0) / (5 * ?RING)
             end || _ <- lists:seq(1, 20)],
    report("ring_hop", Times).
member(Next, Owner) ->
    receive
        0 -> Owner ! done, member(Next, Owner);
        N -> Next ! N - 1, member(Next, Owner)
    end.

%% A registered child of a supervisor is killed; until the next call to its name is answered. Nothing tells when a name is
%% there again: the caller looks, and lets others run in between. A supervisor walks through all restarts of its period,
%% which is a second at least, at each restart: no supervisor is asked for more than a few.
crashes() ->
    _ = crashes_of_one(),
    report("crash_recovery", lists:append([crashes_of_one() || _ <- lists:seq(1, ?SUPERVISORS)])).
crashes_of_one() ->
    {ok, Sup} = supervisor_start(),
    Times = [crash() || _ <- lists:seq(1, ?CRASHES)],
    Ref = monitor(process, Sup),
    unlink(Sup), exit(Sup, shutdown),
    receive {'DOWN', Ref, process, Sup, _} -> Times end.
crash() ->
    Pid = whereis(?MODULE),
    T0 = now_ns(),
    exit(Pid, kill),
    New = other_than(Pid),
    pong = gen_server:call(New, ping),
    now_ns() - T0.
other_than(Old) ->
    case whereis(?MODULE) of
        New when is_pid(New), New =/= Old -> New;
        _ -> erlang:yield(), other_than(Old)
    end.
supervisor_start() ->
    supervisor:start_link(?MODULE, supervisor).

%% The last one tells when it has begun: with one scheduler all others have by then. No list of them is kept, so that the
%% memory is theirs alone.
alive() ->
    erlang:garbage_collect(),
    Before = erlang:memory(total),
    T0 = now_ns(),
    Self = self(),
    spawn_idle(?ALIVE - 1),
    spawn(fun() -> Self ! begun, idle() end),
    receive begun -> ok end,
    Each = (now_ns() - T0) / ?ALIVE,
    Bytes = (erlang:memory(total) - Before) / ?ALIVE,
    true = erlang:system_info(process_count) > ?ALIVE,
    row("alive_create", "us", Each / 1000, Each / 1000, 1),
    row("alive_bytes", "bytes", Bytes, Bytes, 1).
spawn_idle(0) -> ok;
spawn_idle(N) -> spawn(fun idle/0), spawn_idle(N - 1).
idle() -> receive stop -> ok end.

%% ---- between two nodes ----

%% Calls to a gen_server of the other node, and messages to a process of it until all have been counted there.
node(Other) ->
    true = net_kernel:connect_node(Other),
    {ok, Server} = rpc:call(Other, gen_server, start, [?MODULE, [], []]),
    [there_and_back(Server) || _ <- lists:seq(1, 2000)],
    report("node_call", [there_and_back(Server) || _ <- lists:seq(1, ?ROUND_TRIPS)]),
    report("node_one_way", [node_flood(Other) || _ <- lists:seq(1, 5)]),
    halt(0).
there_and_back(Server) ->
    T0 = now_ns(),
    pong = gen_server:call(Server, ping),
    now_ns() - T0.
node_flood(Other) ->
    Sink = spawn(Other, ?MODULE, sink, [self(), ?FLOOD]),
    T0 = now_ns(),
    flood(Sink, ?FLOOD),
    receive done -> (now_ns() - T0) / ?FLOOD end.

%% ---- gen_server and supervisor ----

start_link() -> gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).
init(supervisor) ->
    {ok, {#{strategy => one_for_one, intensity => 1000000, period => 1},
          [#{id => child, start => {?MODULE, start_link, []}}]}};
init([]) -> {ok, 0}.
handle_call(ping, _, State) -> {reply, pong, State}.
handle_cast(_, State) -> {noreply, State}.

%% ---- measuring ----

now_ns() -> erlang:convert_time_unit(erlang:monotonic_time(), native, nanosecond).

batches(Name, Fun, Arg) ->
    Self = self(),
    Batch = fun() ->
        Ref = make_ref(),
        spawn_link(fun() -> T0 = now_ns(), Fun(Arg), Self ! {Ref, (now_ns() - T0) / ?BATCH} end),
        receive {Ref, Took} -> Took end
    end,
    [Batch() || _ <- lists:seq(1, ?BATCHES div 5)],
    report(Name, [Batch() || _ <- lists:seq(1, ?BATCHES)]).

report(Name, Nanoseconds) ->
    Sorted = lists:sort(Nanoseconds),
    row(Name, "us", percentile(Sorted, 50) / 1000, percentile(Sorted, 99) / 1000, length(Sorted)).
percentile(Sorted, P) -> lists:nth(max(1, (length(Sorted) * P + 99) div 100), Sorted).
row(Name, Unit, P50, P99, Count) ->
    io:format("{\"name\": \"~s\", \"unit\": \"~s\", \"p50\": ~f, \"p99\": ~f, \"count\": ~b}~n",
              [Name, Unit, float(P50), float(P99), Count]).
