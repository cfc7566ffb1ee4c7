// The page: one JsSIP user agent with at most one call, and a few functions that tests call by name.
import JsSIP from 'jssip';

// Only the end of an audio line is needed: a silent track that exists without a microphone.
function silence() {
  const context = new AudioContext();
  return context.createMediaStreamDestination().stream;
}

const state = {
  connected: false,
  registered: false,
  call: 'none', // none | calling | incoming | up | ended
  cause: null,
  held: false, // we put the other side on hold
  remoteHeld: false, // the other side put us on hold
  reoffers: 0, // re-INVITEs of ours that were answered
  reinvites: 0, // re-INVITEs of the other side
  requests: [], // methods of other requests inside calls
};
let agent;
let session;

function watch(newSession) {
  session = newSession;
  state.cause = null;
  // A transfer makes a second call; the first one's end is then no news.
  const is = (call) => { if (session === newSession) state.call = call; };
  session.on('accepted', () => is('up'));
  for (const event of ['ended', 'failed']) {
    session.on(event, (data) => {
      is('ended');
      state.cause = `${data.originator}: ${data.cause}`;
    });
  }
  session.on('hold', (data) => { state[data.originator === 'local' ? 'held' : 'remoteHeld'] = true; });
  session.on('unhold', (data) => { state[data.originator === 'local' ? 'held' : 'remoteHeld'] = false; });
  session.on('reinvite', () => { state.reinvites += 1; });
  session.on('update', () => { state.requests.push('UPDATE'); });
  session.on('newInfo', () => { state.requests.push('INFO'); });
  session.on('refer', (data) => {
    state.requests.push('REFER');
    data.accept(() => {}, mediaOfCall());
  });
}

const mediaOfCall = () => ({ mediaStream: silence(), pcConfig: { iceServers: [] } });

// `reoffers` counts re-INVITEs of ours that were answered; a refused one ends the call.
const reoffered = () => { state.reoffers += 1; };

window.phone = {
  start({ url, uri, password }) {
    agent = new JsSIP.UA({
      sockets: [new JsSIP.WebSocketInterface(url)],
      uri,
      password,
      register_expires: 300,
      session_timers: true,
      // After a lost connection the test says when to connect again.
      connection_recovery_min_interval: 3600,
      connection_recovery_max_interval: 7200,
    });
    agent.on('connected', () => { state.connected = true; });
    agent.on('disconnected', () => { state.connected = false; state.registered = false; });
    agent.on('registered', () => { state.registered = true; });
    agent.on('unregistered', () => { state.registered = false; });
    agent.on('registrationFailed', (data) => { state.registered = false; state.cause = data.cause; });
    agent.on('newRTCSession', ({ originator, session: newSession }) => {
      watch(newSession);
      state.call = originator === 'remote' ? 'incoming' : 'calling';
    });
    agent.start();
  },
  state: () => state,
  refresh() { agent.register(); },
  reconnect() { agent.transport.connect(); },
  call(target) { agent.call(target, mediaOfCall()); },
  answer() { session.answer(mediaOfCall()); },
  hangUp() { session.terminate(); },
  // False while JsSIP is busy with another offer.
  hold: () => session.hold({}, reoffered),
  unhold: () => session.unhold({}, reoffered),
};
