%% Runs small programs over processes and prints what each process saw: the reference for Orrery's kernel.
%% README.md has the language; differential.py makes the programs and compares. Meant for one scheduler (erl +S 1): then
%% a process that ends has told everybody before the next one runs, and what follows from a step can be waited for.
-module(differential).
-behaviour(supervisor).
-export([main/1, init/1, start_worker/1, start_worker/2, start_tree/1, worker/3]).

main([Input, Output]) ->
    logger:set_primary_config(level, none),
    ets:new(seen, [named_table, public, ordered_set]),
    ets:new(known, [named_table, public]),
    register(midwife, spawn(fun midwife/0)),
    {ok, Text} = file:read_file(Input),
    {ok, Out} = file:open(Output, [write, raw, {delayed_write, 1000000, 1000}]),
    Lines = [string:lexemes(L, " ") || L <- string:lexemes(binary_to_list(Text), "\n")],
    programs(Lines, Out),
    ok = file:close(Out),
    halt(0).

programs([["program", Number] | Lines], Out) ->
    {Steps, [["end"] | Rest]} = lists:splitwith(fun(L) -> L =/= ["end"] end, Lines),
    ets:insert(known, {step, 0}),
    [spawn_process(none, "p" ++ integer_to_list(I), [], "run") || I <- lists:seq(0, 3)],
    settle(),
    lists:foldl(fun(Step, At) -> ets:insert(known, {step, At}), step(Step), settle(), At + 1 end, 1, Steps),
    file:write(Out, ["program ", Number, "\n", [line(E) || E <- ets:tab2list(seen)]]),
    kill_all(),
    ets:delete_all_objects(seen),
    ets:delete_all_objects(known),
    programs(Rest, Out);
programs([], _) -> ok.

line({_, Step, Who, Kind, From, Detail}) ->
    [integer_to_list(Step), " ", name(Who), " ", atom_to_list(Kind), " ", name(From), " ", Detail, "\n"].

name(Pid) when is_pid(Pid) ->
    case ets:lookup(known, Pid) of [{_, Name, _}] -> Name; [] -> "?" end;
name(none) -> "-".

log(Who, Kind, From, Detail) ->
    ets:insert(seen, {erlang:unique_integer([monotonic]), ets:lookup_element(known, step, 2), Who, Kind, From, Detail}).

reason({shutdown, _}) -> "shutdown";
reason({noproc, _}) -> "noproc";
reason(Atom) when is_atom(Atom) -> atom_to_list(Atom);
reason(Other) -> lists:flatten(io_lib:format("~0p", [Other])).

%% ---- who is who ----

find(Base) ->
    case ets:lookup(known, {base, Base}) of [{_, Pid}] -> Pid; [] -> none end.

count(Base) -> ets:update_counter(known, {count, Base}, 1, {{count, Base}, 0}).

born(Pid, Base, Count, Kind) ->
    ets:insert(known, [{Pid, Base ++ "#" ++ integer_to_list(Count), Kind}, {{base, Base}, Pid}]),
    midwife ! {born, Pid, self()},
    receive {noted, Pid} -> ok end,
    log(Pid, started, none, "-").

%% Notes how each process ends: it watches them from before they do anything.
midwife() ->
    receive
        {born, Pid, From} -> monitor(process, Pid), From ! {noted, Pid};
        {'DOWN', _, process, Pid, Why} -> log(Pid, ended, none, reason(Why));
        {ping, From, Tag} -> From ! {pong, Tag}
    end,
    midwife().

processes_known() -> [{Pid, Kind} || {Pid, _, Kind} <- ets:tab2list(known), is_pid(Pid), is_process_alive(Pid)].

%% All that follows from a step has happened once two rounds of questions to everybody change nothing.
settle() -> settle(none, 0).
settle(_, 2) -> ok;
settle(Before, Calm) ->
    [ping(Kind, Pid) || {Pid, Kind} <- processes_known()],
    ping(process, whereis(midwife)),
    case {ets:info(seen, size), length(processes_known()), ets:info(known, size)} of
        Before -> settle(Before, Calm + 1);
        Now -> settle(Now, 0)
    end.

ping(supervisor, Pid) -> catch supervisor:count_children(Pid);
ping(process, Pid) ->
    Tag = monitor(process, Pid),
    Pid ! {ping, self(), Tag},
    receive {pong, Tag} -> demonitor(Tag, [flush]); {'DOWN', Tag, _, _, _} -> ok end.

kill_all() ->
    case processes_known() of
        [] -> ping(process, whereis(midwife));
        Alive -> [exit(Pid, kill) || {Pid, _} <- Alive], settle(), kill_all()
    end.

%% ---- steps ----

step([Op, Base, Child]) when Op =:= "terminate"; Op =:= "restart"; Op =:= "delete" ->
    Ask = list_to_atom(Op ++ "_child"),
    request(Base, fun(Pid) -> supervisor:Ask(Pid, Child) end);
step([Op, Base, Child]) when Op =:= "add"; Op =:= "drop" ->
    request(Base, fun(Pid) ->
        case Op of
            "add" -> supervisor:start_child(Pid, [Child]);
            "drop" -> supervisor:terminate_child(Pid, find(Child))
        end
    end);
step(["children", Base]) ->
    Pid = find(Base),
    case Pid =/= none andalso is_process_alive(Pid) of
        true -> log(Pid, result, none, children(Pid));
        false -> ok
    end;
step(["start", Base | Tree]) ->
    {Node, []} = tree(Tree),
    request(Base, fun(Pid) -> supervisor:start_child(Pid, child_spec(Node)) end);
step([_, Base | _] = Step) ->
    Pid = find(Base),
    case Pid =/= none andalso is_process_alive(Pid) of
        true ->
            Tag = monitor(process, Pid),
            Pid ! {do, self(), Tag, split(Step)},
            receive {done, Tag} -> demonitor(Tag, [flush]); {'DOWN', Tag, _, _, _} -> ok end;
        false -> ok
    end.

request(Base, Ask) ->
    Pid = find(Base),
    case Pid =/= none andalso is_process_alive(Pid) of
        true ->
            log(Pid, result, none,
                case catch Ask(Pid) of ok -> "ok"; {ok, _} -> "ok"; {error, _} -> "error"; _ -> "failed" end);
        false -> ok
    end.

%% Who they are, in no order that OTP promises; and how many.
children(Pid) ->
    Names = [case Child of undefined -> Id ++ "=-"; restarting -> Id ++ "=restarting"; _ -> name(Child) end
             || {Id, Child, _, _} <- supervisor:which_children(Pid)],
    Counts = supervisor:count_children(Pid),
    lists:join(",", lists:sort(Names) ++
               [integer_to_list(proplists:get_value(What, Counts)) || What <- [specs, active, supervisors, workers]]).

split(Step) ->
    case lists:splitwith(fun(T) -> T =/= ";" end, Step) of
        {Last, []} -> [Last];
        {First, [";" | Rest]} -> [First | split(Rest)]
    end.

%% ---- processes ----

loop(Parent) ->
    receive
        {do, From, Tag, Ops} -> [op(Op) || Op <- Ops], From ! {done, Tag};
        {ping, From, Tag} -> From ! {pong, Tag};
        {msg, From, Number} -> log(self(), msg, From, Number);
        {'EXIT', From, Why} ->
            log(self(), exit, From, reason(Why)),
            %% As gen_server does.
            From =:= Parent andalso exit(Why);
        {ask, Ref} -> Ref ! {answer, Ref};
        {answer, Ref} -> answered(Ref, "ok");
        {'DOWN', Ref, process, Pid, Why} ->
            %% What it had is free before anybody hears.
            [log(self(), held, Pid, N) || N <- ["n0", "n1", "n2"], whereis(list_to_atom(N)) =:= Pid],
            case ets:member(known, {asked, Ref}) of
                true -> answered(Ref, "failed");
                false -> log(self(), down, Pid, [ets:lookup_element(known, Ref, 2), " ", reason(Why)])
            end
    end,
    loop(Parent).

answered(Ref, How) ->
    [{_, Question, Pid}] = ets:lookup(known, {asked, Ref}),
    log(self(), answer, Pid, [Question, " ", How]).

op(["alias", _, Name]) -> ets:insert(known, {{alias, Name}, alias(), self()});
op(["unalias", _, Name]) ->
    case ets:lookup(known, {alias, Name}) of
        [{_, Alias, Owner}] when Owner =:= self() -> unalias(Alias);
        _ -> ok
    end;
op(["via", _, Name, Number]) ->
    case ets:lookup(known, {alias, Name}) of
        [{_, Alias, _}] -> Alias ! {msg, self(), Number};
        [] -> ok
    end;
op(["spawn", _, New, How, Init]) ->
    Options = case How of "plain" -> []; "link" -> [link]; "monitor" -> [monitor]; "both" -> [link, monitor] end,
    spawn_process(self(), New, Options, Init);
op(["sup", _ | Tree]) ->
    {Node, []} = tree(Tree),
    log(self(), result, none, case start_tree(Node) of {ok, _} -> "ok"; _ -> "error" end);
op(["trap", _, OnOff]) -> process_flag(trap_exit, OnOff =:= "on");
op(["stop", _, Why]) -> exit(list_to_atom(Why));
op(["register", _, Name]) ->
    log(self(), result, none, case catch register(list_to_atom(Name), self()) of true -> "ok"; _ -> "error" end);
op(["unregister", _]) ->
    case process_info(self(), registered_name) of {_, Name} -> unregister(Name); [] -> ok end;
op(["tell", _, Name, Number]) ->
    case whereis(list_to_atom(Name)) of
        undefined -> log(self(), result, none, "nobody");
        Pid -> Pid ! {msg, self(), Number}
    end;
op(["demonitor", _, Monitor, How]) ->
    case ets:lookup(known, {monitor, Monitor}) of
        [{_, Ref, Owner}] when Owner =:= self() ->
            demonitor(Ref, case How of "flush" -> [flush]; "keep" -> [] end);
        _ -> ok
    end;
op([Op, _, Base | Rest]) ->
    case find(Base) of none -> ok; Pid -> op(Op, Pid, Rest) end.

op("link", Pid, []) -> try link(Pid) catch error:noproc -> exit(noproc) end;
op("unlink", Pid, []) -> unlink(Pid);
op("monitor", Pid, [Monitor]) -> watch(Monitor, monitor(process, Pid));
op("ask", Pid, [Question]) ->
    Ref = monitor(process, Pid, [{alias, reply_demonitor}]),
    ets:insert(known, {{asked, Ref}, Question, Pid}),
    Pid ! {ask, Ref};
op("exit", Pid, [Why]) -> exit(Pid, list_to_atom(Why));
op("send", Pid, [Number]) -> Pid ! {msg, self(), Number}.

watch(Monitor, Ref) -> ets:insert(known, [{Ref, Monitor}, {{monitor, Monitor}, Ref, self()}]).

spawn_process(By, New, Options, Init) ->
    Body = fun() ->
        born(self(), New, count(New), process),
        case Init of "run" -> loop(none); Why -> exit(list_to_atom(Why)) end
    end,
    case spawn_opt(Body, Options) of
        {_, Ref} when By =/= none -> watch("m" ++ New, Ref);
        _ -> ok
    end.

%% ---- supervisors ----

tree(["S", Base, Strategy, Intensity, Auto, Restart, Significant, Number | Rest]) ->
    {Children, Left} = trees(list_to_integer(Number), Rest),
    {{supervisor, Base, list_to_atom(Strategy), list_to_integer(Intensity), list_to_atom(Auto), list_to_atom(Restart),
      Significant =:= "significant", Children}, Left};
tree(["W", Base, Restart, Significant, Trap, FailFrom, Shutdown | Rest]) ->
    {{worker, Base, list_to_atom(Restart), Significant =:= "significant", Trap =:= "trap", list_to_integer(FailFrom),
      case Shutdown of "wait" -> 5000; "brutal" -> brutal_kill end}, Rest}.

trees(0, Tokens) -> {[], Tokens};
trees(Number, Tokens) ->
    {First, Rest} = tree(Tokens),
    {Others, Left} = trees(Number - 1, Rest),
    {[First | Others], Left}.

child_spec({supervisor, Base, _, _, _, Restart, Significant, _} = Node) ->
    #{id => Base, start => {?MODULE, start_tree, [Node]}, restart => Restart, significant => Significant,
      shutdown => infinity, type => supervisor};
child_spec({worker, Base, Restart, Significant, _, _, Shutdown} = Node) ->
    #{id => Base, start => {?MODULE, start_worker, [Node]}, restart => Restart, significant => Significant,
      shutdown => Shutdown}.

start_tree({supervisor, Base, _, _, _, _, _, _} = Node) ->
    case supervisor:start_link(?MODULE, Node) of
        {ok, Pid} -> born(Pid, Base, count(Base), supervisor), {ok, Pid};
        Failed -> Failed
    end.

init({supervisor, _, Strategy, Intensity, Auto, _, _, Children}) ->
    {ok, {#{strategy => Strategy, intensity => Intensity, period => 3600, auto_shutdown => Auto},
          [child_spec(Child) || Child <- Children]}}.

%% A child of a simple_one_for_one: the template, and its own name.
start_worker(Template, Base) -> start_worker(setelement(2, Template, Base)).
start_worker({worker, Base, _, _, Trap, FailFrom, _}) ->
    case count(Base) of
        Count when FailFrom > 0, Count >= FailFrom -> {error, boom};
        Count -> proc_lib:start_link(?MODULE, worker, [Base, Count, {Trap, self()}])
    end.

worker(Base, Count, {Trap, Parent}) ->
    process_flag(trap_exit, Trap),
    born(self(), Base, Count, process),
    proc_lib:init_ack({ok, self()}),
    loop(Parent).
