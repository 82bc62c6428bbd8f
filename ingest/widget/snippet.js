// SPDX-License-Identifier: MIT
// @ts-nocheck: plain old JavaScript, for any page
// The snippet, as pages carry it: it keeps their calls until the widget is there. The last line names
// server and site. README.md shows it to the owners of pages; a test keeps the two alike.
(function (w, d, src) {
  if (w.onWebChat) return;
  var ar = [];
  w.onWebChat = {
    ar: ar,
    set: function (key, value, done) {
      ar.push([key, value, done]);
    },
    get: function (key) {
      for (var i = ar.length; i--;) if (ar[i][0] === key) return ar[i][1];
    },
    on: function (name, f) {
      var call = ["on", [name, f]];
      ar.push(call);
      return function () {
        if (call.undo) call.undo();
        else call.length = 0;
      };
    },
  };
  var script = d.createElement("script");
  script.async = true;
  script.src = src;
  d.head.appendChild(script);
})(window, document, "/clientchat/demo");
