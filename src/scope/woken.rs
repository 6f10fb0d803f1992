//! A future that is polled only when it was woken, for those that stand beside a busy one.
//! Refuses to forget a wake: whoever polls is known before it is looked whether there was one.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{
            AtomicBool,
            Ordering::{AcqRel, Release},
        },
    },
    task::{Context, Poll, Wake, Waker},
};

use futures::task::AtomicWaker;

/// Polls `inner` for the first time and whenever it was woken; any other poll costs next to nothing.
pub(crate) fn only_when_woken<F: Future + Unpin>(inner: F) -> Woken<F> {
    let bell = Arc::new(Bell {
        rung: AtomicBool::new(true),
        task: AtomicWaker::new(),
    });
    Woken {
        waker: Waker::from(bell.clone()),
        bell,
        inner,
    }
}

/// See [`only_when_woken`].
pub(crate) struct Woken<F> {
    inner: F,
    bell: Arc<Bell>,
    waker: Waker,
}

struct Bell {
    rung: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Release);
        self.task.wake();
    }
}

impl<F: Future + Unpin> Future for Woken<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        this.bell.task.register(cx.waker());
        if !this.bell.rung.swap(false, AcqRel) {
            return Poll::Pending;
        }
        Pin::new(&mut this.inner).poll(&mut Context::from_waker(&this.waker))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test]
    async fn a_sleeping_future_is_left_alone_and_a_wake_is_never_lost() {
        let mut polls = 0;
        let notify = tokio::sync::Notify::new();
        let mut told = std::pin::pin!(notify.notified());
        let mut woken = only_when_woken(poll_fn(|cx| {
            polls += 1;
            told.as_mut().poll(cx)
        }));
        for _ in 0..10 {
            let mut nobody = Context::from_waker(Waker::noop());
            assert!(Pin::new(&mut woken).poll(&mut nobody).is_pending());
        }
        notify.notify_one();
        (&mut woken).await;
        drop(woken);
        assert_eq!(polls, 2);
    }
}
