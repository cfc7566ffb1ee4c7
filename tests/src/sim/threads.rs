//! Several threads in one core at once: what reaches sbc within one tick is handed to them together.
//!
//! Each thread has a worker of its own, and datagrams of one call go to any of them. The messages of one
//! WebSocket stay with one worker and in order, as they do in the program. Which thread is faster is not the
//! seed's choice: such a world does not replay, its end must hold all the same.

use std::net::SocketAddr;
use std::sync::Barrier;
use std::time::Duration;

use sbc_core::flow::Flow;
use sbc_core::io::Input;
use sbc_core::time::Time;
use sbc_core::{Core, Worker};

use super::World;
use super::travel::Flying;

/// What arrives within so long is handled at once.
const TICK: Duration = Duration::from_millis(5);

/// One input for one worker.
enum Job {
    Received { flow: Flow, source: SocketAddr, bytes: Vec<u8> },
    Deadline,
}

impl World {
    /// Run for so many virtual microseconds, tick by tick.
    pub(super) fn run_at_once(&mut self, micros: u64) {
        let end = self.now + Duration::from_micros(micros);
        while let Some(next) = self.next_event().filter(|at| *at <= end) {
            let until = (next.max(self.now) + TICK).min(end);
            if self.edges[0].workers.is_empty() && self.edges[0].down_until <= until {
                self.now = self.now.max(self.edges[0].down_until);
                self.wake(0);
            }
            let jobs = self.gather(until);
            self.now = until;
            self.handle_at_once(jobs);
            if until == end {
                return;
            }
        }
        self.now = end;
    }

    fn next_event(&mut self) -> Option<Time> {
        let arrival = self.flying.first_key_value().map(|((at, _), _)| *at);
        let timer = self.nodes.values_mut().filter_map(|node| node.endpoint().next_deadline()).min();
        let edge = self.edges.iter().filter_map(super::edges::Edge::next_due).min();
        [arrival, timer, edge].into_iter().flatten().min()
    }

    /// Everything up to `until`: endpoints are served in order, what is for sbc is kept by worker.
    fn gather(&mut self, until: Time) -> Vec<Vec<Job>> {
        let workers = self.edges[0].workers.len();
        let mut jobs: Vec<Vec<Job>> = (0..workers).map(|_| Vec::new()).collect();
        loop {
            let arrival = self.flying.first_key_value().map(|((at, _), _)| *at);
            let timers = self.nodes.iter_mut();
            let timer = timers.filter_map(|(at, node)| Some((node.endpoint().next_deadline()?, *at))).min();
            let next = arrival.into_iter().chain(timer.map(|(at, _)| at)).min();
            let Some(next) = next.filter(|at| *at <= until) else { break };
            self.now = self.now.max(next);
            if arrival == Some(next) {
                let Some((_, flying)) = self.flying.pop_first() else { break };
                if let Some((worker, job)) = self.deliver(flying) {
                    jobs[worker].push(job);
                }
            } else if let Some((_, address)) = timer {
                let now = self.now;
                if let Some(node) = self.nodes.get_mut(&address) {
                    node.endpoint().on_time(now);
                }
                self.collect(address);
            }
        }
        let edge = &self.edges[0];
        for (worker, jobs) in jobs.iter_mut().enumerate() {
            if edge.core.next_deadline(&edge.workers[worker]).is_some_and(|at| at <= until) {
                jobs.push(Job::Deadline);
            }
        }
        jobs
    }

    /// What is for sbc becomes a job: on a connection for its own worker, a datagram for any.
    fn deliver(&mut self, flying: Flying) -> Option<(usize, Job)> {
        let Some((0, flow)) = self.flow_of(&flying) else {
            self.arrive(flying);
            return None;
        };
        if self.edges[0].workers.is_empty() {
            return None;
        }
        let worker = match flow.connection {
            Some(_) => self.edges[0].worker_of(flying.from),
            None => self.chance.below(self.edges[0].workers.len() as u64) as usize,
        };
        self.judge_arrival(0, flying.from, flow.listener, &flying.bytes);
        Some((worker, Job::Received { flow, source: flying.from, bytes: flying.bytes }))
    }

    fn handle_at_once(&mut self, jobs: Vec<Vec<Job>>) {
        let now = self.now;
        let edge = &mut self.edges[0];
        let busy = jobs.iter().filter(|jobs| !jobs.is_empty()).count();
        let (core, start) = (&*edge.core, Barrier::new(busy));
        if busy < 2 {
            // Nobody to meet.
            for (worker, jobs) in edge.workers.iter_mut().zip(jobs) {
                jobs.into_iter().for_each(|job| work(core, worker, now, job));
            }
            return (0..self.edges[0].workers.len()).for_each(|worker| self.flush(0, worker));
        }
        std::thread::scope(|scope| {
            let with_work = edge.workers.iter_mut().zip(jobs).filter(|(_, jobs)| !jobs.is_empty());
            let threads: Vec<_> = with_work
                .map(|(worker, jobs)| {
                    let start = &start;
                    scope.spawn(move || {
                        start.wait();
                        jobs.into_iter().for_each(|job| work(core, worker, now, job));
                    })
                })
                .collect();
            // By hand: ThreadSanitizer does not see how the scope waits for them.
            threads.into_iter().for_each(|thread| thread.join().expect("no panic in the core"));
        });
        (0..self.edges[0].workers.len()).for_each(|worker| self.flush(0, worker));
    }
}

fn work(core: &Core, worker: &mut Worker, now: Time, job: Job) {
    match job {
        Job::Received { flow, source, bytes } => {
            core.handle(worker, now, Input::Received { flow, source, bytes: &bytes });
        }
        Job::Deadline => core.handle(worker, now, Input::Deadline),
    }
}
