// Shows what a push message says (docs/push-and-sms.md) and leads to it. The
// tag is the notification's id: one that was sent twice is shown once.
self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', event => event.waitUntil(self.clients.claim()));

self.addEventListener('push', event => {
  let said = {};
  try {
    said = event.data ? event.data.json() : {};
  } catch {
    // A message that is not ours still has to be shown as something.
  }
  event.waitUntil(self.registration.showNotification(said.title || 'Carillon', {
    body: said.message || '',
    tag: said.id,
    icon: '/demo/icon.svg',
    data: {id: said.id, action_url: said.action_url},
  }));
});

self.addEventListener('notificationclick', event => {
  event.notification.close();
  event.waitUntil((async () => {
    const pages = await self.clients.matchAll({type: 'window', includeUncontrolled: true});
    const open = pages.find(page => new URL(page.url).pathname === '/demo');
    if (open)
      return open.focus();
    return self.clients.openWindow('/demo#inbox');
  })());
});

// The push service gave the subscription a new address: the page tells the
// server the next time it is open; here there is no token.
self.addEventListener('pushsubscriptionchange', event => {
  event.waitUntil((async () => {
    for (const page of await self.clients.matchAll({includeUncontrolled: true}))
      page.postMessage('subscription-changed');
  })());
});
